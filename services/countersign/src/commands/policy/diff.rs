//! `countersign policy diff`: which requests other policies decide differently.

use std::{io::Write, path::PathBuf};

use countersign_guard::policies::{Comparison, Difference};
use serde_json::json;

use super::{cases, shown};
use crate::{Error, Format, PolicySource};

/// Differences that are shown of each RPC; all are counted.
const SHOWN: usize = 10;

pub(super) fn run(
    old: PathBuf,
    new: &PolicySource,
    limit: u64,
    format: Format,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let old = PolicySource { dir: old, ..new.clone() };
    let (before, after) = (super::open(&old, out)?, super::open(new, out)?);
    let mut expected = Vec::new();
    for case in cases::read(&old.dir)?.into_iter().chain(cases::read(&new.dir)?) {
        let wrong = |error| {
            let reason = format!("{}: {error}", case.name);
            Error::Table { file: case.file.clone(), reason }
        };
        expected.push(before.difference(&after, case.question.clone()).map_err(wrong)?);
    }
    let tried = expected.len();
    let mut expected: Vec<_> = expected.into_iter().flatten().collect();
    // The same table may lie on both sides.
    expected.dedup();
    let drawn = before.compare(&after, limit)?;
    let differences = expected.len() + drawn.differences.len();
    match format {
        Format::Text => text(&expected, tried, &drawn, out)?,
        Format::Json => {
            let all: Vec<_> =
                expected.iter().chain(&drawn.differences).map(difference_json).collect();
            let coverage: Vec<_> = drawn
                .coverage
                .iter()
                .map(|of| json!({ "rpc": of.rpc, "asked": of.asked, "of": of.total }))
                .collect();
            let whole = json!({ "differences": all, "cases": tried, "coverage": coverage });
            writeln!(out, "{whole}")?;
        }
    }
    if differences == 0 { Ok(()) } else { Err(Error::Different(differences)) }
}

fn text(
    expected: &[Difference],
    tried: usize,
    drawn: &Comparison,
    out: &mut dyn Write,
) -> Result<(), Error> {
    writeln!(out, "{} of {tried} cases of the tables differ", expected.len())?;
    for difference in expected {
        writeln!(out, "  {}", line(difference))?;
    }
    for of in &drawn.coverage {
        let differ: Vec<_> =
            drawn.differences.iter().filter(|found| found.question.rpc == of.rpc).collect();
        let how = if of.asked == of.total { "all" } else { "drawn" };
        let (rpc, asked, total) = (&of.rpc, of.asked, of.total);
        writeln!(out, "{rpc}: {} of {asked} requests differ ({how} of {total})", differ.len())?;
        for difference in differ.iter().take(SHOWN) {
            writeln!(out, "  {}", line(difference))?;
        }
        if differ.len() > SHOWN {
            writeln!(out, "  and {} more: --format json has them all", differ.len() - SHOWN)?;
        }
    }
    Ok(())
}

fn line(Difference { question, old, new }: &Difference) -> String {
    let (old, new) = (shown::answer(old), shown::answer(new));
    format!("{}: was {old}; is {new}", shown::question(question))
}

fn difference_json(Difference { question, old, new }: &Difference) -> serde_json::Value {
    let (old, new) = (shown::answer_json(old), shown::answer_json(new));
    json!({ "question": shown::question_json(question), "old": old, "new": new })
}
