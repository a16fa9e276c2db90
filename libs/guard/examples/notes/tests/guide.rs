//! What `docs/guard.md` quotes is what the files of this example say.

use std::{collections::BTreeSet, fs, path::Path};

/// The quoted parts of the guide: a file, and text of it.
fn quotes() -> Vec<(String, String)> {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../docs/guard.md");
    let guide = fs::read_to_string(guide).expect("the guide");
    let mut quotes: Vec<(String, String)> = Vec::new();
    let mut open = false;
    for line in guide.lines() {
        match (open, line.split_once(" file=")) {
            (false, Some((fence, file))) if fence.starts_with("```") => {
                quotes.push((file.to_owned(), String::new()));
                open = true;
            }
            (true, _) if line == "```" => open = false,
            (true, _) => {
                let (_, text) = quotes.last_mut().expect("an open quote");
                text.push_str(line);
                text.push('\n');
            }
            (false, _) => {}
        }
    }
    quotes
}

#[test]
fn the_guide_quotes_the_files_of_this_example() {
    for (file, text) in quotes() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&file);
        let source = fs::read_to_string(path).expect("a quoted file");
        assert!(source.contains(&text), "{file} no longer says:\n{text}");
    }
}

#[test]
fn the_guide_shows_every_part() {
    let quoted: BTreeSet<_> = quotes().into_iter().map(|(file, _)| file).collect();
    for file in [
        "Cargo.toml",
        "build.rs",
        "policies/notes.cedar",
        "proto/notes/v1/notes_service.proto",
        "src/lib.rs",
        "src/mount.rs",
        "src/service.rs",
        "src/store.rs",
    ] {
        assert!(quoted.contains(file), "{file} is not in the guide");
    }
}
