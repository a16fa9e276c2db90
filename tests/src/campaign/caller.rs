//! Calls as a client with the documented retry policy makes them: until they
//! are answered, at any replica, with a pause in between.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{Harm, history::History};
use crate::{Clients, dice::Dice};

/// How long one try may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// What `docs/retries.md` tells clients: how often they try, and the pause
/// after the first try, which doubles up to the longest.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// In this time a call is answered, whatever happens to the system.
pub(super) const LONGEST: Duration = Duration::from_secs(60);

/// How a caller tries again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manners {
    /// Soon and for a minute: who looks for what was lost cannot give up.
    Stubborn,
    /// As `docs/retries.md` tells clients to.
    Documented,
}

/// Which service a call goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Auth,
    User,
}

/// The addresses of the replicas.
#[derive(Clone, Debug)]
pub(super) struct Doors {
    pub auth: Vec<SocketAddr>,
    pub user: Vec<SocketAddr>,
}

/// Somebody with connections of their own to every replica.
pub(super) struct Caller {
    pub name: String,
    pub dice: Dice,
    pub history: Arc<History>,
    manners: Manners,
    auth: Vec<Clients>,
    user: Vec<Clients>,
}

/// How an operation ended.
pub(super) enum Answer<T> {
    /// It was answered.
    Done(T),
    /// It was refused for good; and whether a try before went unanswered.
    Refused(String, Status, bool),
    /// Nobody answered in time; that was noted.
    Silence,
}

impl Caller {
    pub(super) fn new(name: String, doors: &Doors, dice: Dice, history: Arc<History>) -> Self {
        let connect = |addresses: &[SocketAddr]| {
            addresses.iter().map(|&address| Clients::of(address)).collect::<Vec<_>>()
        };
        let (auth, user) = (connect(&doors.auth), connect(&doors.user));
        Self { name, dice, history, manners: Manners::Stubborn, auth, user }
    }

    /// The same with these manners.
    pub(super) fn with(self, manners: Manners) -> Self {
        Self { manners, ..self }
    }

    /// Every replica of a service.
    pub(super) fn each(&self, service: Service) -> &[Clients] {
        match service {
            Service::Auth => &self.auth,
            Service::User => &self.user,
        }
    }

    /// Does one thing until somebody says that it is done, or never will be.
    pub(super) async fn insist<T>(
        &mut self,
        what: &str,
        service: Service,
        call: impl AsyncFn(Clients) -> Result<T, Status>,
    ) -> Answer<T> {
        let door = self.dice.below(self.each(service).len());
        self.insist_from(door, what, service, call).await
    }

    /// The same, at this replica first.
    pub(super) async fn insist_from<T>(
        &mut self,
        door: usize,
        what: &str,
        service: Service,
        call: impl AsyncFn(Clients) -> Result<T, Status>,
    ) -> Answer<T> {
        self.ask(door, false, what, service, call).await
    }

    /// The same, at this replica and no other: what it knows is in question.
    pub(super) async fn insist_at<T>(
        &mut self,
        door: usize,
        what: &str,
        service: Service,
        call: impl AsyncFn(Clients) -> Result<T, Status>,
    ) -> Answer<T> {
        self.ask(door, true, what, service, call).await
    }

    async fn ask<T>(
        &mut self,
        mut door: usize,
        there: bool,
        what: &str,
        service: Service,
        call: impl AsyncFn(Clients) -> Result<T, Status>,
    ) -> Answer<T> {
        let deadline = Instant::now() + LONGEST;
        let mut unanswered = false;
        for tries in 1.. {
            let clients = self.each(service)[door].clone();
            let tried = tokio::time::timeout(PATIENCE, call(clients)).await;
            let status = match tried {
                Ok(Ok(value)) => {
                    self.history.acknowledge(&self.name, format_args!("{what} at {door}"));
                    return Answer::Done(value);
                }
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded("no answer in time"),
            };
            let reason = reason(&status);
            let code = status.code();
            let told = format!("{what} at {door}: {code:?} {reason} {}", status.message());
            self.history.note(&self.name, told);
            if !reason.is_empty() && !passes(code) {
                return Answer::Refused(reason, status, unanswered);
            }
            // Whoever says when to come back has done nothing; unless the
            // database went away, which may be after a commit.
            let gone = reason.is_empty() || reason == "STORAGE_UNAVAILABLE";
            unanswered |= code != Code::Unavailable || gone;
            let over = match self.manners {
                Manners::Stubborn => Instant::now() > deadline,
                Manners::Documented => tries == ATTEMPTS,
            };
            if over {
                self.history.find(Harm::Stuck, &self.name, format_args!("{what}: {status}"));
                return Answer::Silence;
            }
            let retry = status.get_error_details().retry_info().and_then(|info| info.retry_delay);
            let asked = retry.unwrap_or(Duration::ZERO).min(Duration::from_secs(1));
            // Not to wait for something: so does a polite client.
            tokio::time::sleep(asked.max(self.pause(tries))).await;
            if !there {
                door = self.dice.below(self.each(service).len());
            }
        }
        Answer::Silence
    }

    /// How long to wait after so many tries where nobody has said it.
    fn pause(&mut self, tries: u32) -> Duration {
        match self.manners {
            Manners::Stubborn => self.dice.millis(5, 50),
            Manners::Documented => {
                let backoff = (FIRST_PAUSE * (1 << (tries - 1))).min(LONGEST_PAUSE);
                // A fifth shorter or longer, so that callers do not come all at once.
                backoff.mul_f64(self.dice.millis(800, 1200).as_secs_f64())
            }
        }
    }

    /// Notes a refusal that the rules do not explain.
    pub(super) fn wronged(&self, what: &str, reason: &str, status: &Status) {
        let said = format!("{what}: {:?} {reason} {}", status.code(), status.message());
        self.history.find(Harm::Wronged, &self.name, said);
    }
}

/// `google.rpc.ErrorInfo.reason`; empty where the refusal is none of ours, but
/// of a connection.
pub(super) fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let ours = details.error_info().filter(|info| info.domain == "countersign.dev");
    ours.map(|info| info.reason.clone()).unwrap_or_default()
}

/// Codes that the contract tells clients to try again after.
fn passes(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Cancelled
    )
}
