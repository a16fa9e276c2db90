//! Rows as aligned text, for people and for awk.

use std::io::{self, Write};

use countersign_types::Timestamp;

/// Prints rows below their heads, columns aligned. No cell is blank.
pub(super) fn print<const N: usize>(
    out: &mut dyn Write,
    heads: [&str; N],
    rows: &[[String; N]],
) -> io::Result<()> {
    let heads = heads.map(str::to_owned);
    let widths: Vec<usize> = (0..N)
        .map(|column| {
            let cells = rows.iter().chain([&heads]).filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    for row in [&heads].into_iter().chain(rows) {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| {
            let cell = if cell.is_empty() { "-" } else { cell };
            format!("{cell:width$}")
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A time as RFC 3339, UTC, to the microsecond.
pub(super) fn time(time: Timestamp) -> String {
    let micros = time.as_micros().rem_euclid(1_000_000);
    let nanos = i32::try_from(micros * 1_000).unwrap_or(0);
    prost_types::Timestamp { seconds: time.as_seconds(), nanos }.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_empty_cells_are_dashes() {
        let mut out = Vec::new();
        let rows = [["a".to_owned(), "bcd".to_owned()], ["longer".to_owned(), String::new()]];
        print(&mut out, ["x", "y"], &rows).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "x       y\na       bcd\nlonger  -\n");
    }

    #[test]
    fn a_time_reads_as_everywhere_else() {
        let shown = time(Timestamp::from_micros(1_795_396_201_000_250));
        assert_eq!(shown, "2026-11-23T01:10:01.000250Z");
    }
}
