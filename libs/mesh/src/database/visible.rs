//! What a caller may see, as a condition of a query.

use countersign_guard::{Condition, Operator, Value};
use countersign_types::UserId;
use sea_orm::{
    ExprTrait,
    prelude::{Expr, Uuid},
};

/// The condition of a query for what the guard says is visible. `id` is the
/// column of the resource's id, a UUID; `column` gives that of an attribute,
/// which is never NULL and has the type that the contract declares (of a user,
/// a UUID). `None`: it gave none for an attribute that a policy reads.
pub fn visible(
    condition: &Condition,
    id: &Expr,
    column: &impl Fn(&str) -> Option<Expr>,
) -> Option<Expr> {
    let each = |parts: &[Condition]| -> Option<Vec<Expr>> {
        parts.iter().map(|part| visible(part, id, column)).collect()
    };
    Some(match condition {
        Condition::All(parts) => {
            each(parts)?.into_iter().reduce(ExprTrait::and).unwrap_or_else(|| constant(true))
        }
        Condition::Any(parts) => {
            each(parts)?.into_iter().reduce(ExprTrait::or).unwrap_or_else(|| constant(false))
        }
        Condition::Not(inner) => visible(inner, id, column)?.not(),
        Condition::Compare { attribute, operator, value } => {
            let (column, value) = (column(attribute)?, literal(value)?);
            match operator {
                Operator::Equal => column.eq(value),
                Operator::Less => column.lt(value),
                Operator::LessOrEqual => column.lte(value),
            }
        }
        // An id in another spelling is no id.
        Condition::Id(text) => match text.parse::<UserId>() {
            Ok(wanted) => id.clone().eq(Uuid::from(wanted)),
            Err(_) => constant(false),
        },
    })
}

fn literal(value: &Value) -> Option<Expr> {
    Some(match value {
        Value::User(user) => Expr::value(Uuid::from(*user)),
        Value::String(text) => Expr::value(text.clone()),
        Value::Long(number) => Expr::value(*number),
        Value::Bool(truth) => Expr::value(*truth),
        Value::StringSet(_) => return None,
    })
}

fn constant(truth: bool) -> Expr {
    Expr::cust(if truth { "1 = 1" } else { "1 = 0" })
}
