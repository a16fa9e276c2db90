//! Which roles an account may have.

/// Roles of one account, as in the contract.
pub(crate) const ROLES_MAX: usize = 16;

/// Whether a role can have this name: 1 to 64 lower-case letters, digits, `-` and `_`.
pub(crate) fn is_role(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}
