//! How long a key and its id are, and how an id is written: what the master
//! key, its file and sealed data agree on.

/// Bytes of a key.
pub(crate) const KEY_LEN: usize = 32;
/// Bytes of the id in front of sealed data.
pub(crate) const KEY_ID_LEN: usize = 8;

pub(crate) fn id_text(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
