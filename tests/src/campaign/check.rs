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
        match caller.insist_from(door, "check profile", Service::User, call).await {
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
        for c in caller.each(Service::User) {
            if let Err(status) = c.with_token(&successor.access_token).profile("me").await {
                caller.wronged("check live session", &reason(&status), &status);
            }
        }
    }
}

/// No guard lets the session in, and no refresh revives it.
async fn has_ended(caller: &mut Caller, session: &Session) {
    let mut answers = Vec::new();
    for c in caller.each(Service::User) {
        answers.push(c.with_token(&session.access_token).profile("me").await.map(|_| ()));
    }
    for c in caller.each(Service::Auth) {
        // Beyond its guard it would change nothing: the session has ended.
        answers.push(c.with_token(&session.access_token).logout().await);
        answers.push(c.refresh(&session.refresh_token).await.map(|_| ()));
    }
    for answer in answers {
        let refused = answer.as_ref().err().map(|status| (status.code(), reason(status)));
        match refused {
            Some((Code::Unauthenticated, reason))
                if ["SESSION_REVOKED", "SESSION_ENDED"].contains(&reason.as_str()) => {}
            other => {
                let what = format!("session {} has ended, and is answered {other:?}", session.id);
                caller.history.find(Harm::Lost, &caller.name, what);
            }
        }
    }
}
