//! From a policy to a formula, by the policy's JSON form (Cedar's documented
//! exchange format). What is not listed here is refused with its name.

use cedar_policy::Policy;
use countersign_types::UserId;
use serde_json::{Map, Value as Json};

use super::{
    condition::Operator,
    formula::{Formula, Term},
};
use crate::{Value, context};

/// The formula of a policy over resources of this type, or what it holds that a
/// list cannot bear.
pub(super) fn policy(policy: &Policy, resource: &str) -> Result<Formula, String> {
    let json = policy.to_json().map_err(|error| error.to_string())?;
    let reader = Reader { resource };
    let mut parts = vec![
        reader.scope("principal", at(&json, "principal"))?,
        reader.scope("resource", at(&json, "resource"))?,
    ];
    for condition in at(&json, "conditions").as_array().into_iter().flatten() {
        let body = reader.formula(at(condition, "body"))?;
        let when = at(condition, "kind") == "when";
        parts.push(if when { body } else { Formula::Not(Box::new(body)) });
    }
    Ok(Formula::All(parts))
}

struct Reader<'a> {
    resource: &'a str,
}

impl Reader<'_> {
    fn scope(&self, variable: &str, scope: &Json) -> Result<Formula, String> {
        let entity = || entity(at(scope, "entity")).ok_or("a scope without its entity");
        match at(scope, "op").as_str() {
            Some("All") => Ok(Formula::Constant(true)),
            Some("==") => self.is_entity(variable, entity()?),
            Some("in") => in_entity(variable, entity()?),
            Some("is") => {
                let of_type = Formula::Constant(self.is_type(variable, at(scope, "entity_type")));
                match scope.get("in") {
                    None => Ok(of_type),
                    Some(within) => {
                        let within = self::entity(at(within, "entity"))
                            .ok_or("a scope without its entity")?;
                        Ok(Formula::All(vec![of_type, in_entity(variable, within)?]))
                    }
                }
            }
            _ => Err(format!("the scope of {variable}")),
        }
    }

    /// An expression that is true or false.
    fn formula(&self, expression: &Json) -> Result<Formula, String> {
        let (operator, operand) = parts(expression)?;
        let both = || {
            Ok::<_, String>([
                self.formula(at(operand, "left"))?,
                self.formula(at(operand, "right"))?,
            ])
        };
        let (left, right) = (at(operand, "left"), at(operand, "right"));
        match operator {
            "Value" => operand.as_bool().map(Formula::Constant).ok_or_else(|| "a value".to_owned()),
            "!" => Ok(negated(self.formula(at(operand, "arg"))?)),
            "&&" => Ok(Formula::All(both()?.into())),
            "||" => Ok(Formula::Any(both()?.into())),
            "if-then-else" => {
                let part = |name: &str| self.formula(at(operand, name));
                Ok(Formula::Any(vec![
                    Formula::All(vec![part("if")?, part("then")?]),
                    Formula::All(vec![negated(part("if")?), part("else")?]),
                ]))
            }
            "==" => self.equal(left, right),
            "!=" => Ok(negated(self.equal(left, right)?)),
            "<" => self.compare(left, Operator::Less, right),
            "<=" => self.compare(left, Operator::LessOrEqual, right),
            ">" => Ok(negated(self.compare(left, Operator::LessOrEqual, right)?)),
            ">=" => Ok(negated(self.compare(left, Operator::Less, right)?)),
            "contains" => self.contains(left, right),
            "is" if operand.get("in").is_some() => Err("`is … in`: write `is` and `in`".to_owned()),
            "is" => {
                Ok(Formula::Constant(self.is_type(variable(left)?, at(operand, "entity_type"))))
            }
            "in" => {
                let within = entity(right.get("Value").unwrap_or(&Json::Null));
                in_entity(variable(left)?, within.ok_or("`in` something that is no entity")?)
            }
            "has" => {
                let name = at(operand, "attr").as_str().unwrap_or_default().to_owned();
                if is_peer(left) {
                    return Ok(Formula::PeerHas(name));
                }
                match variable(left)? {
                    "principal" => Ok(Formula::Has(name)),
                    _ => Err("`has` on anything but the principal or the peer".to_owned()),
                }
            }
            // An attribute that is true or false.
            "." => {
                let truth = Term::Literal(Value::Bool(true));
                Ok(Formula::Compare(self.term(expression)?, Operator::Equal, truth))
            }
            other => Err(format!("`{other}`")),
        }
    }

    fn equal(&self, left: &Json, right: &Json) -> Result<Formula, String> {
        for (one, other) in [(left, right), (right, left)] {
            if at(one, "Var") == "resource" {
                let entity = entity(other.get("Value").unwrap_or(&Json::Null));
                return self
                    .is_entity("resource", entity.ok_or("the resource compared with a variable")?);
            }
        }
        self.compare(left, Operator::Equal, right)
    }

    fn compare(&self, left: &Json, operator: Operator, right: &Json) -> Result<Formula, String> {
        match (self.term(left)?, self.term(right)?) {
            (Term::OfResource(_), Term::OfResource(_)) => {
                Err("two attributes of the resource compared with each other".to_owned())
            }
            (left, right) => Ok(Formula::Compare(left, operator, right)),
        }
    }

    fn contains(&self, set: &Json, element: &Json) -> Result<Formula, String> {
        let element = self.term(element)?;
        let set = match set.get("Set").and_then(Json::as_array) {
            Some(items) => {
                let text = |item: &Json| at(item, "Value").as_str().map(str::to_owned);
                let texts: Option<_> = items.iter().map(text).collect();
                Term::Literal(Value::StringSet(texts.ok_or("a set of anything but texts")?))
            }
            None => match self.term(set)? {
                known @ (Term::OfCaller(_) | Term::OfPeer(_)) => known,
                _ => return Err("`contains` of a set that is not known before".to_owned()),
            },
        };
        Ok(Formula::Contains(set, element))
    }

    fn term(&self, expression: &Json) -> Result<Term, String> {
        let (operator, operand) = parts(expression)?;
        match operator {
            "Value" => literal(operand).map(Term::Literal),
            "Var" if operand == "principal" => Ok(Term::Caller),
            "." => {
                let name =
                    at(operand, "attr").as_str().ok_or("an attribute without a name")?.to_owned();
                if is_peer(at(operand, "left")) {
                    return Ok(Term::OfPeer(name));
                }
                match variable(at(operand, "left"))? {
                    "principal" => Ok(Term::OfCaller(name)),
                    "resource" => Ok(Term::OfResource(name)),
                    other => Err(format!("an attribute of {other}")),
                }
            }
            other => Err(format!("`{other}`")),
        }
    }

    fn is_type(&self, variable: &str, kind: &Json) -> bool {
        let held = if variable == "principal" { "User" } else { self.resource };
        kind == held
    }

    fn is_entity(&self, variable: &str, (kind, id): (&str, &str)) -> Result<Formula, String> {
        match (variable, kind) {
            ("principal", "User") => {
                let user: UserId =
                    id.parse().map_err(|_| format!("User::\"{id}\", which has no id"))?;
                let user = Term::Literal(Value::User(user));
                Ok(Formula::Compare(Term::Caller, Operator::Equal, user))
            }
            ("resource", kind) if kind == self.resource => Ok(Formula::Id(id.to_owned())),
            _ => Ok(Formula::Constant(false)),
        }
    }
}

/// An expression is an object with one entry: the operator and its operands.
fn parts(expression: &Json) -> Result<(&str, &Json), String> {
    let object: Option<&Map<_, _>> = expression.as_object();
    let entry = object.and_then(|object| object.iter().next());
    entry
        .map(|(operator, operand)| (operator.as_str(), operand))
        .ok_or_else(|| "no expression".to_owned())
}

fn variable(expression: &Json) -> Result<&str, String> {
    at(expression, "Var").as_str().ok_or_else(|| "what is reached over something else".to_owned())
}

/// `context.peer`.
fn is_peer(expression: &Json) -> bool {
    let access = at(expression, ".");
    at(access, "attr") == context::PEER && at(at(access, "left"), "Var") == "context"
}

fn in_entity(variable: &str, (kind, id): (&str, &str)) -> Result<Formula, String> {
    match (variable, kind) {
        ("principal", "Role") => Ok(Formula::InRole(id.to_owned())),
        _ => Err(format!("{variable} `in` {kind}")),
    }
}

fn entity(json: &Json) -> Option<(&str, &str)> {
    let entity = json.get("__entity").unwrap_or(json);
    Some((at(entity, "type").as_str()?, at(entity, "id").as_str()?))
}

fn literal(json: &Json) -> Result<Value, String> {
    if let Some((kind, id)) = entity(json) {
        return match (kind, id.parse()) {
            ("User", Ok(id)) => Ok(Value::User(id)),
            _ => Err(format!("{kind}::\"{id}\"")),
        };
    }
    match json {
        Json::Bool(truth) => Ok(Value::Bool(*truth)),
        Json::String(text) => Ok(Value::String(text.clone())),
        Json::Number(number) => {
            number.as_i64().map(Value::Long).ok_or_else(|| "a number".to_owned())
        }
        _ => Err("a value that is no text, number, truth or user".to_owned()),
    }
}

fn negated(formula: Formula) -> Formula {
    Formula::Not(Box::new(formula))
}

/// An entry of an object; null where there is none.
fn at<'a>(json: &'a Json, name: &str) -> &'a Json {
    json.get(name).unwrap_or(&Json::Null)
}
