//! What the system has promised to one person: the reference that it is held
//! against afterwards.

use super::Harm;

/// A person, and all that was acknowledged to them.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// How the history calls them.
    pub name: String,
    /// The address.
    pub email: String,
    /// The id; empty where no answer has told it.
    pub user_id: String,
    /// The words that were written into the profile, one call each, in order.
    pub words: Vec<Word>,
    /// The sessions that an answer has told of.
    pub sessions: Vec<Session>,
}

/// A word in the profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub text: String,
    /// Whether it was answered; else it may be there or not.
    pub acknowledged: bool,
}

/// A session, with its newest tokens.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub id: String,
    pub access_token: String,
    pub refresh_token: String,
    pub state: SessionState,
}

/// What is known about a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionState {
    /// It goes on.
    Live,
    /// That it has ended was acknowledged, by a logout of its own or not.
    Ended { logout: bool },
    /// It was asked to end, and no answer came.
    Unknown,
}

impl Record {
    pub(super) fn new(name: String, email: String) -> Self {
        let (user_id, words, sessions) = (String::new(), Vec::new(), Vec::new());
        Self { name, email, user_id, words, sessions }
    }

    /// The places of the sessions that go on.
    pub(super) fn live(&self) -> Vec<usize> {
        let live = self.sessions.iter().enumerate();
        live.filter(|(_, session)| session.state == SessionState::Live).map(|(at, _)| at).collect()
    }

    /// What is wrong with a profile that has this text: a word that was
    /// acknowledged is missing, or one is there twice, or in the wrong place.
    pub(super) fn judge(&self, bio: &str) -> Result<(), (Harm, String)> {
        let found: Vec<_> = bio.split_whitespace().collect();
        let mut rest = self.words.as_slice();
        for word in &found {
            let Some(at) = rest.iter().position(|expected| expected.text == **word) else {
                let twice = found.iter().filter(|other| *other == word).count() > 1;
                let harm = if twice { Harm::Doubled } else { Harm::Wronged };
                return Err((harm, format!("word {word} is out of place in {bio:?}")));
            };
            let (passed, behind) = rest.split_at(at);
            none_lost(passed, bio)?;
            rest = &behind[1..];
        }
        none_lost(rest, bio)
    }
}

fn none_lost(absent: &[Word], bio: &str) -> Result<(), (Harm, String)> {
    match absent.iter().find(|word| word.acknowledged) {
        None => Ok(()),
        Some(lost) => Err((Harm::Lost, format!("word {} is not in {bio:?}", lost.text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_acknowledged_is_there_once_and_in_order() {
        let mut record = Record::new("p".to_owned(), "p@example.org".to_owned());
        for (text, acknowledged) in [("1", true), ("2", false), ("3", true), ("4", false)] {
            record.words.push(Word { text: text.to_owned(), acknowledged });
        }
        for good in ["1 3", "1 2 3", "1 3 4", "1 2 3 4"] {
            assert_eq!(record.judge(good), Ok(()), "{good}");
        }
        for (bad, harm) in [
            ("", Harm::Lost),
            ("1", Harm::Lost),
            ("3", Harm::Lost),
            ("1 2", Harm::Lost),
            ("1 3 3", Harm::Doubled),
            ("1 1 3", Harm::Doubled),
            ("1 3 5", Harm::Wronged),
        ] {
            assert_eq!(record.judge(bad).unwrap_err().0, harm, "{bad}");
        }
    }
}
