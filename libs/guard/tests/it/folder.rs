//! Policies in a folder: which files count, and that what is read is one state.

use std::{fs, os::unix::fs::symlink};

use countersign_guard::{
    Error,
    policies::{MAX_BYTES, MAX_FILES, PolicyFolder},
};

fn names(folder: &PolicyFolder) -> Vec<String> {
    let files = folder.read().unwrap().files;
    let name = |path: String| path.rsplit('/').next().unwrap_or_default().to_owned();
    files.into_iter().map(|file| name(file.name)).collect()
}

#[test]
fn the_cedar_files_of_a_folder_count_and_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    for name in ["b.cedar", "a.cedar", ".hidden.cedar", "a.cedar.bak", "a.test.toml"] {
        fs::write(place.path().join(name), "").unwrap();
    }
    fs::create_dir(place.path().join("more")).unwrap();
    fs::write(place.path().join("more/c.cedar"), "").unwrap();
    assert_eq!(names(&PolicyFolder::new(place.path())), ["a.cedar", "b.cedar"]);
}

#[test]
fn another_name_or_text_is_another_digest() {
    let place = tempfile::tempdir().unwrap();
    let folder = PolicyFolder::new(place.path());
    let mut digests = vec![folder.read().unwrap().digest];
    fs::write(place.path().join("ab.cedar"), "c").unwrap();
    digests.push(folder.read().unwrap().digest);
    assert_eq!(folder.read().unwrap().digest, digests[1], "the same again");
    fs::write(place.path().join("ab.cedar"), "d").unwrap();
    digests.push(folder.read().unwrap().digest);
    fs::rename(place.path().join("ab.cedar"), place.path().join("a.cedar")).unwrap();
    digests.push(folder.read().unwrap().digest);
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 4);
}

#[test]
fn a_volume_of_kubernetes_is_read_through_its_one_link() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    for (version, files) in [("..1", ["a.cedar", "b.cedar"]), ("..2", ["b.cedar", "c.cedar"])] {
        fs::create_dir(at(version)).unwrap();
        for file in files {
            fs::write(at(version).join(file), version).unwrap();
        }
    }
    symlink("..1", at("..data")).unwrap();
    for file in ["a.cedar", "b.cedar"] {
        symlink(format!("..data/{file}"), at(file)).unwrap();
    }
    let folder = PolicyFolder::new(place.path());
    assert_eq!(names(&folder), ["a.cedar", "b.cedar"]);
    // The new link is made beside the old one and put in its place; the links
    // to the files follow later.
    symlink("..2", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    assert_eq!(names(&folder), ["b.cedar", "c.cedar"]);
    assert!(folder.read().unwrap().files.iter().all(|file| file.text == "..2"));
}

#[test]
fn a_folder_that_cannot_be_read_is_named_with_its_file() {
    let place = tempfile::tempdir().unwrap();
    let gone = PolicyFolder::new(place.path().join("gone"));
    assert!(gone.read().unwrap_err().to_string().contains("/gone: "));
    fs::write(place.path().join("x.cedar"), [0xff, 0xfe]).unwrap();
    fs::create_dir(place.path().join("y.cedar")).unwrap();
    let refused = PolicyFolder::new(place.path()).read().unwrap_err();
    let Error::Policies(problems) = refused else { unreachable!("{refused}") };
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].to_string().contains("/x.cedar: "), "{problems:?}");
}

#[test]
fn a_folder_has_a_bounded_size() {
    let place = tempfile::tempdir().unwrap();
    let half = "/".repeat(usize::try_from(MAX_BYTES).unwrap() / 2);
    for name in ["a.cedar", "b.cedar"] {
        fs::write(place.path().join(name), &half).unwrap();
    }
    assert!(PolicyFolder::new(place.path()).read().is_ok());
    fs::write(place.path().join("c.cedar"), "/").unwrap();
    let refused = PolicyFolder::new(place.path()).read().unwrap_err();
    assert!(refused.to_string().contains("/c.cedar: with it the folder has more"), "{refused}");
}

#[test]
fn a_folder_has_a_bounded_number_of_files() {
    let place = tempfile::tempdir().unwrap();
    for number in 0..=MAX_FILES {
        fs::write(place.path().join(format!("{number}.cedar")), "").unwrap();
    }
    let refused = PolicyFolder::new(place.path()).read().unwrap_err();
    assert!(refused.to_string().contains("more than 1000"), "{refused}");
}
