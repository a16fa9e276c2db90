//! Doing again what lost against somebody else.

use std::{future::Future, time::Duration};

use uuid::Uuid;

/// How often something is done at most. Who loses so often meets a database
/// that is too busy, and tells its client to come back.
const TRIES: u32 = 4;
/// The longest wait before the second try; it doubles with each.
const WAIT: Duration = Duration::from_millis(10);

/// Does `work`, and again where it failed for a reason that `lost` recognises:
/// [`is_conflict`](super::is_conflict) on the database's error. Four times at
/// most, with short waits that differ.
///
/// `work` is a whole transaction from its begin to its commit, or a single
/// statement, and has no effect elsewhere: its failed tries never were.
///
/// # Errors
/// The last one of `work`.
pub async fn retry<T, E, W, F>(lost: impl Fn(&E) -> bool, mut work: W) -> Result<T, E>
where
    W: FnMut() -> F,
    F: Future<Output = Result<T, E>>,
{
    let mut failures = 0;
    loop {
        match work().await {
            Err(error) if lost(&error) && failures + 1 < TRIES => {
                tokio::time::sleep(part_of(WAIT * (1 << failures))).await;
                failures += 1;
            }
            done => return done,
        }
    }
}

/// From nothing up to `most`, so that those who collided do not meet again.
pub(super) fn part_of(most: Duration) -> Duration {
    // An id is as random as a wait needs to be.
    let (_, random) = Uuid::new_v4().as_u64_pair();
    most / 1024 * u32::try_from(random % 1024).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    async fn tries(failing: u32, lost: bool) -> (u32, bool) {
        let tried = Cell::new(0);
        let work = || {
            tried.set(tried.get() + 1);
            let failed = tried.get() <= failing;
            async move { if failed { Err(()) } else { Ok(()) } }
        };
        let done = retry(|&()| lost, work).await;
        (tried.get(), done.is_ok())
    }

    #[tokio::test]
    async fn what_lost_is_done_again_and_not_for_ever() {
        assert_eq!(tries(0, true).await, (1, true));
        assert_eq!(tries(3, true).await, (4, true));
        assert_eq!(tries(9, true).await, (4, false));
    }

    #[tokio::test]
    async fn what_failed_otherwise_is_not_done_again() {
        assert_eq!(tries(1, false).await, (1, false));
    }
}
