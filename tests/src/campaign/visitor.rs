//! The load: people who register, log in, change their profile, refresh and
//! leave, and who keep account of what they were told.

use countersign_contracts::{
    auth::v1::{RevokeAllSessionsRequest, RevokeSessionRequest},
    user::v1::Profile,
};
use tonic::Code;

use super::{
    Harm,
    caller::{Answer, Caller, LONGEST, Service},
    record::{Record, Session, SessionState, Word},
};
use crate::{Login, email_of};

/// Sessions that one person has at most.
const SESSIONS: usize = 4;

/// One life: from the registration over some steps to its end.
pub(super) async fn live(caller: &mut Caller, name: String) -> Record {
    caller.name.clone_from(&name);
    let mut record = Record::new(name.clone(), email_of(&name));
    if register(caller, &mut record).await && log_in(caller, &mut record).await {
        let steps = 3 + caller.dice.below(10);
        for _ in 0..steps {
            if !step(caller, &mut record).await {
                break;
            }
        }
    }
    record
}

/// False: there is no going on, which was noted.
async fn step(caller: &mut Caller, record: &mut Record) -> bool {
    let live = record.live();
    if live.is_empty() {
        return log_in(caller, record).await;
    }
    let at = *caller.dice.pick(&live);
    match caller.dice.below(12) {
        0..4 => write(caller, record, at).await,
        4..6 => read(caller, record, at).await,
        6..9 => refresh(caller, record, at).await,
        9 if record.sessions.len() < SESSIONS => log_in(caller, record).await,
        9 | 10 => log_out(caller, record, at).await,
        _ => {
            let other = *caller.dice.pick(&live);
            if caller.dice.below(3) == 0 {
                revoke_all(caller, record, at).await
            } else {
                revoke(caller, record, at, other).await
            }
        }
    }
}

async fn register(caller: &mut Caller, record: &mut Record) -> bool {
    let name = record.name.clone();
    match caller.insist("register", Service::Auth, async |c| c.register(&name).await).await {
        Answer::Done(person) => record.user_id = person.user_id,
        // An attempt whose answer was lost has done it.
        Answer::Refused(_, status, true) if status.code() == Code::AlreadyExists => {}
        Answer::Refused(reason, status, _) => {
            caller.wronged("register", &reason, &status);
            return false;
        }
        Answer::Silence => return false,
    }
    true
}

/// Also waits until the account is active.
async fn log_in(caller: &mut Caller, record: &mut Record) -> bool {
    let email = record.email.clone();
    let deadline = tokio::time::Instant::now() + LONGEST;
    let mut pauses = 0;
    loop {
        match caller.insist("login", Service::Auth, async |c| c.login(&email).await).await {
            Answer::Done(login) => {
                let Login { user_id, session_id, access_token, refresh_token, .. } = login;
                if !record.user_id.is_empty() && record.user_id != user_id {
                    let told = format!("{} has become {user_id}", record.user_id);
                    caller.history.find(Harm::Doubled, &record.name, told);
                }
                record.user_id = user_id;
                let state = SessionState::Live;
                record.sessions.push(Session {
                    id: session_id,
                    access_token,
                    refresh_token,
                    state,
                });
                return true;
            }
            Answer::Refused(_, status, _) if status.code() == Code::FailedPrecondition => {
                if tokio::time::Instant::now() > deadline {
                    caller.history.find(Harm::Stuck, &record.name, "the account stays pending");
                    return false;
                }
                // Longer and longer: each try that fails is an event of its own,
                // and those of a crowd would hold up what they wait for.
                let pause = caller.dice.millis(10, 30) * (1 << pauses);
                pauses = (pauses + 1).min(5);
                tokio::time::sleep(pause).await;
            }
            Answer::Refused(reason, status, _) => {
                caller.wronged("login", &reason, &status);
                return false;
            }
            Answer::Silence => return false,
        }
    }
}

/// The profile, held against what was promised.
async fn look(caller: &mut Caller, record: &Record, at: usize) -> Option<Profile> {
    let token = record.sessions[at].access_token.clone();
    let call = async |c: crate::Clients| c.with_token(&token).profile("me").await;
    match caller.insist("read", Service::User, call).await {
        Answer::Done(profile) => {
            if let Err((harm, what)) = record.judge(&profile.bio) {
                caller.history.find(harm, &record.name, what);
                return None;
            }
            Some(profile)
        }
        Answer::Refused(reason, status, _) => {
            caller.wronged("read", &reason, &status);
            None
        }
        Answer::Silence => None,
    }
}

async fn read(caller: &mut Caller, record: &Record, at: usize) -> bool {
    look(caller, record, at).await.is_some()
}

/// Appends a word to the profile, to what was there a moment ago and nothing
/// else: a try that is overtaken changes nothing, however late it arrives.
async fn write(caller: &mut Caller, record: &mut Record, at: usize) -> bool {
    let token = record.sessions[at].access_token.clone();
    let text = format!("w{}", record.words.len() + 1);
    record.words.push(Word { text: text.clone(), acknowledged: false });
    for _ in 0..100 {
        let Some(before) = look(caller, record, at).await else { return false };
        if before.bio.split_whitespace().any(|word| word == text) {
            record.words.last_mut().expect("it was pushed").acknowledged = true;
            return true;
        }
        let bio = format!("{} {text}", before.bio).trim().to_owned();
        let after = Profile { bio, etag: before.etag, ..Profile::default() };
        let call =
            async |c: crate::Clients| c.with_token(&token).update(after.clone(), &["bio"]).await;
        match caller.insist(&format!("write {text}"), Service::User, call).await {
            Answer::Done(..) => {
                record.words.last_mut().expect("it was pushed").acknowledged = true;
                return true;
            }
            // A try whose answer was lost has done it, or somebody was faster.
            Answer::Refused(_, status, true) if status.code() == Code::Aborted => {}
            Answer::Refused(reason, status, _) => {
                caller.wronged("write", &reason, &status);
                return false;
            }
            Answer::Silence => return false,
        }
    }
    caller.history.find(Harm::Stuck, &record.name, "a profile that nobody else changes is aborted");
    false
}

async fn refresh(caller: &mut Caller, record: &mut Record, at: usize) -> bool {
    let token = record.sessions[at].refresh_token.clone();
    match caller.insist("refresh", Service::Auth, async |c| c.refresh(&token).await).await {
        Answer::Done(answer) => {
            let session = &mut record.sessions[at];
            session.access_token = answer.access_token;
            session.refresh_token = answer.refresh_token;
            true
        }
        Answer::Refused(reason, status, _) => {
            caller.wronged("refresh", &reason, &status);
            false
        }
        Answer::Silence => false,
    }
}

async fn log_out(caller: &mut Caller, record: &mut Record, at: usize) -> bool {
    let token = record.sessions[at].access_token.clone();
    let call = async |c: crate::Clients| c.with_token(&token).logout().await;
    record.sessions[at].state = SessionState::Unknown;
    let answer = caller.insist("logout", Service::Auth, call).await;
    end(caller, record, "logout", &answer, &[at], true)
}

async fn revoke(caller: &mut Caller, record: &mut Record, by: usize, other: usize) -> bool {
    let token = record.sessions[by].access_token.clone();
    let request = RevokeSessionRequest { session_id: record.sessions[other].id.clone() };
    let call = async |c: crate::Clients| {
        c.with_token(&token).sessions().revoke_session(request.clone()).await
    };
    record.sessions[other].state = SessionState::Unknown;
    let answer = caller.insist("revoke", Service::Auth, call).await;
    end(caller, record, "revoke", &answer, &[other], by == other)
}

/// All sessions, or all but the one that asks.
async fn revoke_all(caller: &mut Caller, record: &mut Record, by: usize) -> bool {
    let token = record.sessions[by].access_token.clone();
    let keep_current = caller.dice.below(2) == 0;
    let request = RevokeAllSessionsRequest { user_id: "me".to_owned(), keep_current };
    let call = async |c: crate::Clients| {
        c.with_token(&token).sessions().revoke_all_sessions(request.clone()).await
    };
    let mut ending = record.live();
    ending.retain(|at| !keep_current || *at != by);
    for &at in &ending {
        record.sessions[at].state = SessionState::Unknown;
    }
    let what = if keep_current { "revoke others" } else { "revoke all" };
    let answer = caller.insist(what, Service::Auth, call).await;
    end(caller, record, what, &answer, &ending, !keep_current)
}

/// Notes that sessions have ended, where that is what the answer says. `own`:
/// the session that asked is the one that ends, so that a repeated try finds it
/// ended.
fn end<T>(
    caller: &Caller,
    record: &mut Record,
    what: &str,
    answer: &Answer<T>,
    sessions: &[usize],
    own: bool,
) -> bool {
    match answer {
        Answer::Done(..) => {}
        Answer::Refused(reason, _, true) if own && reason == "SESSION_REVOKED" => {}
        Answer::Refused(reason, status, _) => {
            caller.wronged(what, reason, status);
            return false;
        }
        Answer::Silence => return false,
    }
    for &at in sessions {
        record.sessions[at].state = SessionState::Ended { logout: what == "logout" };
    }
    true
}
