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

/// The manifest of the guide, for a crate outside of this repository.
fn manifest_outside() -> toml::Table {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../docs/guard.md");
    let guide = fs::read_to_string(guide).expect("the guide");
    let (_, rest) = guide.split_once("```toml outside\n").expect("the manifest");
    let (manifest, _) = rest.split_once("```\n").expect("its end");
    manifest.parse().expect("TOML")
}

fn manifest(file: &str) -> toml::Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(path).expect("a manifest").parse().expect("TOML")
}

/// Version, or path from the top of the repository, of a dependency.
fn source(of: &toml::Value) -> String {
    let text = |key| of.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let path = text("path").map(|path| path.replace("../countersign/", ""));
    of.as_str().map(str::to_owned).or(path).or(text("version")).expect("a version or a path")
}

#[test]
fn the_manifest_for_outside_asks_for_what_this_one_does() {
    let (outside, here) = (manifest_outside(), manifest("Cargo.toml"));
    let root = manifest("../../../../Cargo.toml");
    let known = &root["workspace"]["dependencies"];
    for section in ["dependencies", "build-dependencies"] {
        let (outside, here) = (&outside[section], here[section].as_table().expect("a table"));
        let names: Vec<_> = outside.as_table().expect("a table").keys().collect();
        assert_eq!(names, here.keys().collect::<Vec<_>>(), "{section}");
        for name in names {
            assert_eq!(source(&outside[name]), source(&known[name]), "{name}");
        }
    }
    assert_eq!(outside["features"], here["features"]);
    assert_eq!(outside["package"]["edition"], root["workspace"]["package"]["edition"]);
}

#[test]
fn the_guide_shows_every_part() {
    let quoted: BTreeSet<_> = quotes().into_iter().map(|(file, _)| file).collect();
    for file in [
        "build.rs",
        "policies/notes.cedar",
        "proto/notes/v1/notes_service.proto",
        "src/lib.rs",
        "src/main.rs",
        "src/mount.rs",
        "src/service.rs",
        "src/store.rs",
    ] {
        assert!(quoted.contains(file), "{file} is not in the guide");
    }
}
