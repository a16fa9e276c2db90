//! Holds what the system says afterwards against what it has promised.

use std::sync::Arc;

use futures::{StreamExt, future::join_all, stream};
use tonic::Code;

use super::{
    Harm,
    caller::{Answer, Caller, Doors, Service, reason},
    history::History,
    record::{Record, Session, SessionState},
};
use crate::{Clients, dice::Dice};

/// People who are asked about at the same time.
const AT_ONCE: usize = 8;

/// Asks for everything that was promised to these people.
pub(super) async fn people(records: &[Record], doors: &Doors, seed: u64, history: &Arc<History>) {
    let checks = stream::iter(records.iter().enumerate()).map(|(number, record)| {
        let dice = Dice::of_player(seed, u64::try_from(number).unwrap_or(0));
        let mut caller = Caller::new(record.name.clone(), doors, dice, Arc::clone(history));
        async move { person(&mut caller, record).await }
    });
    checks.buffer_unordered(AT_ONCE).collect::<()>().await;
}

async fn person(caller: &mut Caller, record: &Record) {
    let email = record.email.clone();
    if record.user_id.is_empty() {
        // Nothing was ever acknowledged.
        return;
    }
    let login = caller.insist("check login", Service::Auth, async |c| c.login(&email).await).await;
    let token = match login {
        Answer::Done(login) => {
            if login.user_id != record.user_id {
                let told = format!("{} has become {}", record.user_id, login.user_id);
                caller.history.find(Harm::Doubled, &record.name, told);
            }
            login.access_token
        }
        Answer::Refused(reason, status, _) => {
            let what = format!("an acknowledged account cannot log in: {reason} {status}");
            caller.history.find(Harm::Lost, &record.name, what);
            return;
        }
        Answer::Silence => return,
    };
    profile(caller, record, &token).await;
    for session in &record.sessions {
        match session.state {
            SessionState::Live => lives(caller, session).await,
            SessionState::Ended { .. } => has_ended(caller, session).await,
            SessionState::Unknown => {}
        }
    }
}

/// Every replica tells the same profile, with every word that was acknowledged.
async fn profile(caller: &mut Caller, record: &Record, token: &str) {
    for door in 0..caller.each(Service::User).len() {
        let call = async |c: Clients| c.with_token(token).profile("me").await;
        match caller.insist_at(door, "check profile", Service::User, call).await {
            Answer::Done(profile) => {
                if let Err((harm, what)) = record.judge(&profile.bio) {
                    caller.history.find(harm, &record.name, what);
                }
            }
            Answer::Refused(reason, status, _) => {
                let what = format!("the profile cannot be read: {reason} {status}");
                caller.history.find(Harm::Lost, &record.name, what);
            }
            Answer::Silence => {}
        }
    }
}

/// Asked for twice at the same time, the newest refresh token gives one
/// successor, and its access token holds at every guard.
async fn lives(caller: &mut Caller, session: &Session) {
    let doors = caller.each(Service::Auth);
    let calls = [doors.first(), doors.last()].into_iter().flatten();
    let answers = join_all(calls.map(|c| c.refresh(&session.refresh_token))).await;
    let mut successors = Vec::new();
    for answer in answers {
        match answer {
            Ok(answer) => successors.push(answer),
            Err(status) => caller.wronged("check refresh", &reason(&status), &status),
        }
    }
    let Some(first) = successors.first() else { return };
    if successors.iter().any(|other| other.refresh_token != first.refresh_token) {
        caller.history.find(Harm::Doubled, &caller.name, "a session has two live generations");
    }
    for successor in &successors {
        for door in 0..caller.each(Service::User).len() {
            let call = async |c: Clients| c.with_token(&successor.access_token).profile("me").await;
            let what = "check live session";
            if let Answer::Refused(reason, status, _) =
                caller.insist_at(door, what, Service::User, call).await
            {
                caller.wronged(what, &reason, &status);
            }
        }
    }
}

/// No guard lets the session in, and no refresh revives it.
async fn has_ended(caller: &mut Caller, session: &Session) {
    let token = session.access_token.as_str();
    for door in 0..caller.each(Service::User).len() {
        let call = async |c: Clients| c.with_token(token).profile("me").await;
        let answer = caller.insist_at(door, "check ended session", Service::User, call).await;
        must_be_refused(caller, session, answer);
    }
    for door in 0..caller.each(Service::Auth).len() {
        // Beyond its guard it would change nothing: the session has ended.
        let call = async |c: Clients| c.with_token(token).logout().await;
        let answer = caller.insist_at(door, "check ended logout", Service::Auth, call).await;
        must_be_refused(caller, session, answer);
        let call = async |c: Clients| c.refresh(&session.refresh_token).await;
        let answer = caller.insist_at(door, "check ended refresh", Service::Auth, call).await;
        must_be_refused(caller, session, answer);
    }
}

/// Silence was noted already.
fn must_be_refused<T>(caller: &Caller, session: &Session, answer: Answer<T>) {
    let refused = match answer {
        Answer::Done(_) => None,
        Answer::Refused(reason, status, _) => Some((status.code(), reason)),
        Answer::Silence => return,
    };
    match refused {
        Some((Code::Unauthenticated, reason))
            if ["SESSION_REVOKED", "SESSION_ENDED"].contains(&reason.as_str()) => {}
        other => {
            let what = format!("session {} has ended, and is answered {other:?}", session.id);
            caller.history.find(Harm::Lost, &caller.name, what);
        }
    }
}
