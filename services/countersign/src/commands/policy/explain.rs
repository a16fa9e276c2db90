//! `countersign policy explain`: why a request is decided as it is.

use std::io::Write;

use countersign_guard::policies::{Outcome, Party, Question, Verdict};
use serde_json::{Value, json};

use super::shown;
use crate::{Assignment, Error, Explain, Format};

pub(super) fn run(asked: Explain, out: &mut dyn Write) -> Result<(), Error> {
    let desk = super::open(&asked.source, out)?;
    let Explain { rpc, user, roles, user_attributes, resource, attributes, peer, format, .. } =
        asked;
    let all = |given: Vec<Assignment>| given.into_iter().map(|one| (one.name, one.value)).collect();
    let question = Question {
        rpc,
        principal: Party { id: user, roles, attributes: all(user_attributes) },
        resource: Party { id: resource, roles: Vec::new(), attributes: all(attributes) },
        peer,
    };
    let explained = desk.explain(&question)?;
    match format {
        Format::Text => {
            writeln!(out, "{}", shown::answer(&explained.answer))?;
            for verdict in &explained.policies {
                writeln!(out, "  {}", line(verdict))?;
            }
        }
        Format::Json => {
            let policies: Vec<_> = explained.policies.iter().map(verdict_json).collect();
            let answer = shown::answer_json(&explained.answer);
            let question = shown::question_json(&question);
            let whole = json!({ "question": question, "answer": answer, "policies": policies });
            writeln!(out, "{whole}")?;
        }
    }
    Ok(())
}

fn effect(verdict: &Verdict) -> &'static str {
    if verdict.permits { "permit" } else { "forbid" }
}

fn line(verdict: &Verdict) -> String {
    let said = match &verdict.outcome {
        Outcome::Applies => "applies".to_owned(),
        Outcome::Misses(part) => format!("does not apply, for this does not hold: {part}"),
        Outcome::Fails(reason) => format!("fails, which denies: {reason}"),
    };
    format!("{} ({}) {said}", verdict.id, effect(verdict))
}

fn verdict_json(verdict: &Verdict) -> Value {
    let (outcome, part) = match &verdict.outcome {
        Outcome::Applies => ("applies", None),
        Outcome::Misses(part) => ("misses", Some(part)),
        Outcome::Fails(reason) => ("fails", Some(reason)),
    };
    json!({ "policy": verdict.id, "effect": effect(verdict), "outcome": outcome, "part": part })
}
