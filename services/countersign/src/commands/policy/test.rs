//! `countersign policy test`: whether policies decide as tables expect.

use std::io::Write;

use countersign_guard::policies::Answer;
use serde_json::json;

use super::{cases, cases::Case, shown};
use crate::{Error, Format, PolicySource};

pub(super) fn run(source: &PolicySource, format: Format, out: &mut dyn Write) -> Result<(), Error> {
    let desk = super::open(source, out)?;
    let cases = cases::read(&source.dir)?;
    if cases.is_empty() {
        return Err(Error::NoTable(source.dir.clone()));
    }
    let mut results = Vec::new();
    for case in &cases {
        let answer = desk.answer(&case.question).map_err(|error| Error::Table {
            file: case.file.clone(),
            reason: format!("{}: {error}", case.name),
        })?;
        results.push((case, answer));
    }
    let failed = results.iter().filter(|(case, answer)| !is_met(case, answer)).count();
    match format {
        Format::Text => {
            for (case, answer) in results.iter().filter(|(case, answer)| !is_met(case, answer)) {
                writeln!(
                    out,
                    "{}: {}: {}",
                    case.file.display(),
                    case.name,
                    complaint(case, answer)
                )?;
            }
            writeln!(out, "{} cases, {failed} failed", cases.len())?;
        }
        Format::Json => {
            let results = results.iter().map(|(case, answer)| {
                json!({
                    "file": case.file.display().to_string(),
                    "name": case.name,
                    "passed": is_met(case, answer),
                    "expected": case.expected.word(),
                    "question": shown::question_json(&case.question),
                    "answer": shown::answer_json(answer),
                })
            });
            writeln!(out, "{}", json!({ "cases": results.collect::<Vec<_>>(), "failed": failed }))?;
        }
    }
    if failed == 0 { Ok(()) } else { Err(Error::Unexpected { failed, cases: cases.len() }) }
}

fn is_met(case: &Case, answer: &Answer) -> bool {
    case.expected.is_met(answer)
        && case.policies.as_ref().is_none_or(|policies| *policies == answer.policies)
}

fn complaint(case: &Case, answer: &Answer) -> String {
    let expected = case.expected.word();
    let by = match &case.policies {
        Some(policies) if !policies.is_empty() => format!(" by {}", policies.join(", ")),
        _ => String::new(),
    };
    format!("expected {expected}{by}, got {}", shown::answer(answer))
}
