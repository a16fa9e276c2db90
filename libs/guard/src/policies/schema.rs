//! The schema that policies are typed over, whole and in parts.
//!
//! Cedar types a policy for every action of a schema, and finds for all but a
//! few that its scope leaves them out: that takes a time that grows with the
//! policies times the RPCs. So a policy is typed over the part of the schema that
//! it can be about, where the answer is the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cedar_policy::{
    ActionConstraint, Entities, EntityUid, Policy, PolicySet, Schema, SchemaFragment,
    ValidationMode, Validator,
};
use miette::Diagnostic;
use serde_json::{Map, Value};

use crate::Error;

/// Principal and resource with their attributes are all that a decision has:
/// a policy may follow no reference further than that.
const MAX_LEVEL: u32 = 1;

/// A schema.
pub(crate) struct PolicySchema {
    whole: Schema,
    /// The actions with the groups that they are in.
    actions: Entities,
    pieces: Option<Pieces>,
}

/// A schema without namespaces in Cedar's JSON form, taken apart.
struct Pieces {
    /// All but the actions.
    rest: Value,
    actions: Map<String, Value>,
}

/// The actions that policies speak of; `None` are all there are.
type Actions = Option<BTreeSet<EntityUid>>;

/// The parts of a schema that were asked for.
pub(super) struct Parts<'a> {
    schema: &'a PolicySchema,
    made: BTreeMap<Actions, Arc<Part>>,
}

/// What a policy is typed over.
pub(super) struct Part {
    schema: Schema,
    validator: Validator,
}

impl PolicySchema {
    /// Reads a schema in Cedar's syntax.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let (whole, _) = Schema::from_cedarschema_str(text)
            .map_err(|error| Error::Schema(super::load::chain(&error)))?;
        let actions = whole.action_entities().map_err(|error| Error::Schema(error.to_string()))?;
        Ok(Self { whole, actions, pieces: Pieces::of(text) })
    }

    pub(crate) const fn whole(&self) -> &Schema {
        &self.whole
    }

    pub(crate) const fn actions(&self) -> &Entities {
        &self.actions
    }

    pub(super) const fn parts(&self) -> Parts<'_> {
        Parts { schema: self, made: BTreeMap::new() }
    }

    /// The actions that a policy names, in its scope or elsewhere: it can apply
    /// to none but these and those that are in them.
    fn spoken_of(&self, policy: &Policy) -> Actions {
        if policy.action_constraint() == ActionConstraint::Any {
            return None;
        }
        let named = policy.entity_literals().into_iter();
        let named: BTreeSet<_> =
            named.filter(|uid| uid.type_name().basename() == "Action").collect();
        // Of one that is not there Cedar says which others there are.
        let known = named.iter().all(|action| self.actions.get(action).is_some());
        known.then_some(named)
    }

    /// The schema with these actions, all that are in them, and the groups that
    /// any of them is in.
    fn part(&self, actions: &BTreeSet<EntityUid>) -> Option<Schema> {
        let pieces = self.pieces.as_ref()?;
        let groups_of = |action| self.actions.ancestors(action).into_iter().flatten();
        let mut kept = BTreeSet::new();
        for action in self.whole.actions() {
            if actions.contains(action) || groups_of(action).any(|group| actions.contains(group)) {
                kept.insert(action.id().unescaped());
                kept.extend(groups_of(action).map(|group| group.id().unescaped()));
            }
        }
        let mut json = pieces.rest.clone();
        let declared = json.pointer_mut("//actions")?.as_object_mut()?;
        for id in kept {
            declared.insert(id.to_owned(), pieces.actions.get(id)?.clone());
        }
        Schema::from_json_value(json).ok()
    }
}

impl Pieces {
    fn of(schema: &str) -> Option<Self> {
        let (fragment, _) = SchemaFragment::from_cedarschema_str(schema).ok()?;
        let mut rest = fragment.to_json_value().ok()?;
        if rest.as_object()?.len() != 1 {
            return None;
        }
        let declared = rest.pointer_mut("//actions")?.as_object_mut()?;
        let actions = std::mem::take(declared);
        Some(Self { rest, actions })
    }
}

impl Parts<'_> {
    /// The part that a policy is to be typed over; the whole, where a part does
    /// not do.
    pub(super) fn of(&mut self, policy: &Policy) -> Arc<Part> {
        let schema = self.schema;
        let actions = schema.spoken_of(policy);
        let part = self.made.entry(actions).or_insert_with_key(|actions| {
            let part = actions.as_ref().and_then(|actions| schema.part(actions));
            Arc::new(Part::new(part.unwrap_or_else(|| schema.whole.clone())))
        });
        Arc::clone(part)
    }
}

impl Part {
    fn new(schema: Schema) -> Self {
        Self { validator: Validator::new(schema.clone()), schema }
    }

    /// What is wrong with a policy, each with its place in the file. It is looked
    /// at strictly, and warnings count: a policy that can never apply is a mistake.
    pub(super) fn faults(&self, policy: &Policy) -> Result<Vec<(Option<usize>, String)>, Error> {
        let set = PolicySet::from_policies([policy.clone()]);
        let set = set.map_err(|error| Error::Schema(error.to_string()))?;
        let result = self.validator.validate_with_level(&set, ValidationMode::Strict, MAX_LEVEL);
        let mut faults: Vec<_> =
            result.validation_errors().map(|error| (offset(error), error.to_string())).collect();
        // A policy that is wrong can never apply either: that says nothing more.
        if faults.is_empty() {
            faults.extend(result.validation_warnings().map(|w| (offset(w), w.to_string())));
        }
        Ok(faults)
    }

    /// The actions that a policy without faults can apply to, each once.
    pub(super) fn actions_of(&self, policy: &Policy) -> BTreeSet<EntityUid> {
        let environments = policy.get_valid_request_envs(&self.schema);
        environments.map(|environment| environment.action().clone()).collect()
    }
}

/// Where in a file something is wrong.
pub(super) fn offset(diagnostic: &(impl Diagnostic + ?Sized)) -> Option<usize> {
    diagnostic.labels()?.next().map(|label| label.offset())
}
