//! Tables of expected decisions: `*.test.toml`, beside the policies.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use countersign_guard::policies::{Answer, Party, Question};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Error;

/// What the names of tables end with.
const ENDING: &str = ".test.toml";

/// A request and what is expected of it.
pub(super) struct Case {
    /// The table.
    pub file: PathBuf,
    pub name: String,
    pub question: Question,
    pub expected: Expected,
    /// The policies that decide, in order, where that matters.
    pub policies: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    /// Callers that cases name.
    #[serde(default)]
    principals: BTreeMap<String, Written>,
    #[serde(default, rename = "case")]
    cases: Vec<WrittenCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCase {
    name: Option<String>,
    principal: Named,
    rpc: String,
    #[serde(default)]
    resource: Written,
    /// Names in the certificate of the connection.
    #[serde(default)]
    peer: Vec<String>,
    expect: Expected,
    policies: Option<Vec<String>>,
}

/// What a case expects.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Expected {
    Allow,
    Deny,
    /// A denial that a step-up would lift.
    StepUp,
}

/// A caller: by name, or as it is.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    Name(String),
    Whole(Written),
}

/// An entity with its attributes beside `id` and `roles`.
#[derive(Clone, Default, Deserialize)]
struct Written {
    #[serde(default)]
    id: String,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(flatten)]
    attributes: Map<String, Value>,
}

impl Expected {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::StepUp => "step_up",
        }
    }

    pub(super) const fn is_met(self, answer: &Answer) -> bool {
        match self {
            Self::Allow => answer.allowed,
            Self::Deny => !answer.allowed,
            Self::StepUp => answer.step_up.is_some(),
        }
    }
}

impl From<Written> for Party {
    fn from(Written { id, roles, attributes }: Written) -> Self {
        Self { id, roles, attributes }
    }
}

/// The cases of all tables in a folder.
pub(super) fn read(folder: &Path) -> Result<Vec<Case>, Error> {
    let failed = |file: &Path| {
        let file = file.to_owned();
        move |source: io::Error| Error::Read { file, source }
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        let path = entry.map_err(failed(folder))?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ENDING)) {
            files.push(path);
        }
    }
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).map_err(failed(&file))?;
        let table: Table = toml::from_str(&text)
            .map_err(|error| Error::Table { file: file.clone(), reason: reason(&error, &text) })?;
        for case in table.into_cases(&file) {
            cases.push(case?);
        }
    }
    Ok(cases)
}

impl Table {
    fn into_cases(self, file: &Path) -> impl Iterator<Item = Result<Case, Error>> {
        let Self { principals, cases } = self;
        cases.into_iter().map(move |case| {
            let principal = match case.principal {
                Named::Whole(principal) => principal,
                Named::Name(name) => {
                    // A misspelt one would be denied, and look as if it had to be.
                    let Some(mut principal) = principals.get(&name).cloned() else {
                        let reason = format!("there is no [principals.{name}]");
                        return Err(Error::Table { file: file.to_owned(), reason });
                    };
                    if principal.id.is_empty() {
                        principal.id = name;
                    }
                    principal
                }
            };
            let mut policies = case.policies;
            if let Some(policies) = &mut policies {
                policies.sort();
            }
            let (resource, rpc) = (Party::from(case.resource), case.rpc);
            let name = case.name.unwrap_or_else(|| format!("{rpc} by {}", principal.id));
            let peer = case.peer;
            let question = Question { rpc, principal: principal.into(), resource, peer };
            let (file, expected) = (file.to_owned(), case.expect);
            Ok(Case { file, name, question, expected, policies })
        })
    }
}

/// In one line, with its place.
fn reason(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
    format!("line {line}: {}", error.message().replace('\n', " "))
}
