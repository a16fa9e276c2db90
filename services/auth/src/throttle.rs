//! Growing delays for those who guess, without a lock that they could turn on
//! somebody else (OWASP Authentication Cheat Sheet, "Login Throttling"; NIST
//! SP 800-63B-4, section 3.2.2), and limits on what hashing may cost.
//!
//! Failures are counted for an account seen from one network, for an account
//! from anywhere, and for a network. A login with a device token of this very
//! account is held against the failures of that device alone: strangers can not
//! keep its owner waiting, from wherever they guess. What is counted depends on
//! what was sent and never on whether there is such an account.
//!
//! Every admitted attempt costs a hash, right or wrong; a network, an account
//! and all together have only so many. A refused one is counted nowhere.
//!
//! It keeps neither address nor network, only keyed hashes of them, in a
//! bounded space, and it knows the time from the clock alone.

mod attempt;
mod books;
mod counter;
mod ledger;
mod rate;
mod stuffing;

use std::hash::{BuildHasher, RandomState};

use countersign_types::{Clock, Email};
use parking_lot::Mutex;

use self::{
    books::{Books, Lane},
    stuffing::Stuffing,
};
use crate::{
    Config, Error,
    device::Device,
    network::{Network, Origin},
};

pub(crate) use self::{attempt::Attempt, stuffing::Suspicion};

/// Counts attempts and says how long the next one has to wait.
pub(crate) struct Throttle {
    clock: Clock,
    hash: RandomState,
    books: Mutex<Books>,
    stuffing: Mutex<Stuffing>,
}

impl Throttle {
    pub(crate) fn new(config: &Config, clock: Clock) -> Self {
        let stuffing = Mutex::new(Stuffing::new(config.throttle.stuffing_accounts));
        Self { clock, hash: RandomState::new(), books: Mutex::new(Books::new(config)), stuffing }
    }

    /// Admits a login, or says when to come back. A refused attempt counts for
    /// nothing: repeating it makes no delay longer. `device` must be one of the
    /// account with this address.
    ///
    /// # Errors
    /// [`Error::Throttled`].
    pub(crate) fn admit(
        &self,
        email: &Email,
        network: Network,
        device: Option<&Device>,
    ) -> Result<Attempt<'_>, Error> {
        let lane = self.lane(email, network, device);
        let now = self.clock.now();
        let mut books = self.books.lock();
        let retry_after = books.wait(lane, now);
        if !retry_after.is_zero() {
            return Err(Error::Throttled { retry_after });
        }
        books.enter(lane, now);
        drop(books);
        Ok(Attempt::new(self, lane, Origin { network, known: device.is_some() }))
    }

    /// A login failed: whether it is time to tell of the network that it came from.
    pub(crate) fn suspect(&self, email: &Email, network: Network) -> Option<Suspicion> {
        let (network, account) = (self.hash.hash_one(network), self.hash.hash_one(email.as_str()));
        self.stuffing.lock().failed(network, account, self.clock.now())
    }

    /// Admits a registration.
    ///
    /// # Errors
    /// [`Error::Throttled`].
    pub(crate) fn admit_registration(&self, network: Network) -> Result<(), Error> {
        let network = self.hash.hash_one(network);
        let retry_after = self.books.lock().register(network, self.clock.now());
        if retry_after.is_zero() { Ok(()) } else { Err(Error::Throttled { retry_after }) }
    }

    fn lane(&self, email: &Email, network: Network, device: Option<&Device>) -> Lane {
        let key = self.hash.hash_one(network);
        match device {
            Some(Device { user, id }) => Lane::Known {
                owner: self.hash.hash_one(user.as_uuid()),
                network: key,
                device: self.hash.hash_one(id),
            },
            None => Lane::Open {
                account: self.hash.hash_one(email.as_str()),
                network: key,
                pair: self.hash.hash_one((email.as_str(), network)),
            },
        }
    }
}

#[cfg(test)]
#[path = "throttle/throttle_tests.rs"]
mod tests;
