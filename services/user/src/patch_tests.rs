//! Updates against a model that knows nothing but "selected values replace".

use proptest::{collection, prelude::*, sample};

use super::*;

/// A profile as a flat list of names and values, metadata entries among them.
type Model = BTreeMap<String, String>;

const KEYS: [&str; 3] = ["a", "b.c", "d-e"];

fn names() -> Vec<String> {
    let texts = TextField::ALL.map(|field| field.name().to_owned());
    texts.into_iter().chain(KEYS.map(|key| format!("metadata.{key}"))).collect()
}

fn values(name: &str) -> &'static [&'static str] {
    match name {
        "avatar_uri" => &["", "https://a.example/", "https://b.example/x"],
        "locale" => &["", "de-AT", "en"],
        "time_zone" => &["", "UTC", "Europe/Vienna"],
        _ => &["", "one", "two", "drei ß"],
    }
}

fn profile_of(model: &Model) -> Profile {
    let text = |name: &str| model.get(name).cloned().unwrap_or_default();
    let entry = |key: &str| Some((key.to_owned(), model.get(&format!("metadata.{key}"))?.clone()));
    Profile {
        display_name: text("display_name"),
        given_name: text("given_name"),
        family_name: text("family_name"),
        bio: text("bio"),
        avatar_uri: text("avatar_uri"),
        locale: text("locale"),
        time_zone: text("time_zone"),
        metadata: KEYS.iter().filter_map(|key| entry(key)).collect(),
        ..Profile::default()
    }
}

fn model_of(fields: &Fields) -> Model {
    let texts = TextField::ALL.into_iter();
    let texts = texts.map(|field| (field.name().to_owned(), fields.text(field).to_owned()));
    let metadata = fields.metadata.iter();
    let metadata = metadata.map(|(key, value)| (format!("metadata.{key}"), value.clone()));
    // A text that is not set is empty; an entry that is not set is not there.
    texts.filter(|(_, value)| !value.is_empty()).chain(metadata).collect()
}

/// What AIP-134 says, in as few words as possible.
fn expected(before: &Model, update: &Model, mask: &Option<Vec<String>>) -> Model {
    let mut paths: Vec<String> = mask.clone().unwrap_or_default();
    if paths.is_empty() {
        paths =
            update.iter().filter(|(_, v)| !v.is_empty()).map(|(name, _)| name.clone()).collect();
        if update.keys().any(|name| name.starts_with("metadata.")) {
            paths.push("metadata".to_owned());
        }
    }
    let selected = |name: &str| {
        paths.iter().any(|path| path == "*" || path == name)
            || (name.starts_with("metadata.") && paths.iter().any(|path| path == "metadata"))
    };
    let kept = before.iter().filter(|(name, _)| !selected(name));
    let new = update.iter().filter(|(name, value)| {
        selected(name) && (!value.is_empty() || name.starts_with("metadata."))
    });
    kept.chain(new).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn model() -> impl Strategy<Value = Model> {
    let value = |name: String| {
        let values = values(&name);
        sample::select(values).prop_map(move |value| (name.clone(), value.to_owned()))
    };
    sample::subsequence(names(), 0..=names().len())
        .prop_flat_map(move |names| names.into_iter().map(value).collect::<Vec<_>>())
        .prop_map(|pairs| pairs.into_iter().collect())
}

fn paths() -> impl Strategy<Value = Option<Vec<String>>> {
    let mut known = names();
    known.extend(["metadata", "etag", "status", "create_time"].map(str::to_owned));
    prop_oneof![
        Just(None),
        Just(Some(vec!["*".to_owned()])),
        collection::vec(sample::select(known), 0..8).prop_map(Some),
    ]
}

fn update(before: &Fields, values: &Model, mask: &Option<Vec<String>>) -> Fields {
    let mask = mask.clone().map(|paths| FieldMask { paths });
    let Ok(patch) = Patch::read(mask.as_ref(), &profile_of(values)) else {
        panic!("the values are valid");
    };
    patch.apply(before).expect("there are few entries")
}

proptest! {
    #[test]
    fn a_profile_after_any_updates_equals_the_model(
        updates in collection::vec((model(), paths()), 1..6),
    ) {
        let mut fields = Fields::default();
        let mut model = Model::new();
        for (values, mask) in updates {
            model = expected(&model, &values, &mask);
            fields = update(&fields, &values, &mask);
            prop_assert_eq!(model_of(&fields), model.clone());
        }
    }

    #[test]
    fn the_same_update_twice_changes_nothing_more(
        before in model(), values in model(), mask in paths(),
    ) {
        let start = update(&Fields::default(), &before, &Some(vec!["*".to_owned()]));
        let once = update(&start, &values, &mask);
        let twice = update(&once, &values, &mask);
        prop_assert!(twice.changed_since(&once).is_empty());
    }
}

#[test]
fn every_broken_rule_of_the_selected_fields_comes_at_once() {
    let profile = Profile {
        display_name: "a\0\u{202e}".to_owned(),
        bio: "not selected \0".to_owned(),
        locale: "no tag".to_owned(),
        time_zone: "Nowhere".to_owned(),
        avatar_uri: "http://example.org".to_owned(),
        metadata: [("k".to_owned(), "\u{2066}".to_owned())].into(),
        ..Profile::default()
    };
    let paths = ["display_name", "locale", "time_zone", "avatar_uri", "metadata"];
    let mask = FieldMask { paths: paths.map(str::to_owned).into() };
    let violations = Patch::read(Some(&mask), &profile).err().unwrap();
    let fields: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
    let expected = [
        "profile.display_name",
        "profile.display_name",
        "profile.avatar_uri",
        "profile.locale",
        "profile.time_zone",
        "profile.metadata[\"k\"]",
    ];
    assert_eq!(fields, expected);
}

#[test]
fn the_metadata_stays_bounded_when_entries_are_added_one_by_one() {
    let mut fields = Fields::default();
    for n in 0..metadata::MAX_ENTRIES {
        fields.metadata.insert(format!("k{n}"), String::new());
    }
    let profile =
        Profile { metadata: [("more".to_owned(), String::new())].into(), ..Profile::default() };
    let mask = FieldMask { paths: vec!["metadata.more".to_owned()] };
    let patch = Patch::read(Some(&mask), &profile).ok().unwrap();
    let violation = patch.apply(&fields).err().unwrap();
    assert_eq!((violation.field.as_str(), &*violation.rule), ("profile.metadata", "map.max_pairs"));
}
