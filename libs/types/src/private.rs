//! Who may read a file that holds a secret: a rule on numbers that somebody
//! else has asked the system for.

/// What the group and others may do (mode bits): nothing.
const OURS: u32 = 0o077;
/// The same where root owns the file: its group may read it.
const OF_ROOT: u32 = 0o037;

/// Whether a file with these mode bits, owned by the user `owner`, is kept from
/// everybody but `reader`, the user that the process runs as.
///
/// A process's own file lets nobody else in. A file of root may let its group
/// read: so an orchestrator hands a secret to a process that does not run as
/// root (Kubernetes sets mode 0440 and the group of `fsGroup`), and such a process
/// could not take the permission back. It is the rule of PostgreSQL for the
/// key of a server (`ssl_key_file`).
#[must_use]
pub const fn is_private(mode: u32, owner: u32, reader: u32) -> bool {
    let others = if owner == 0 && reader != 0 { OF_ROOT } else { OURS };
    mode & others == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: u32 = 0;
    const US: u32 = 65532;
    const THEM: u32 = 1000;

    #[test]
    fn a_file_of_our_own_lets_nobody_else_in() {
        for user in [ROOT, US] {
            for mode in [0o600, 0o400, 0o100_600] {
                assert!(is_private(mode, user, user), "{mode:o}");
            }
            for mode in [0o640, 0o620, 0o610, 0o604, 0o602, 0o601] {
                assert!(!is_private(mode, user, user), "{mode:o}");
            }
        }
    }

    #[test]
    fn a_file_of_root_may_let_our_group_read_and_no_more() {
        for mode in [0o400, 0o440, 0o640] {
            assert!(is_private(mode, ROOT, US), "{mode:o}");
        }
        for mode in [0o460, 0o450, 0o444, 0o442, 0o441] {
            assert!(!is_private(mode, ROOT, US), "{mode:o}");
        }
    }

    #[test]
    fn a_file_of_somebody_else_may_not() {
        assert!(!is_private(0o440, THEM, US));
    }
}
