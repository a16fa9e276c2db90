//! The vocabulary of Countersign: ids, addresses, texts, faults, traces and time.
//!
//! Every other crate speaks in these words. Nothing here does I/O, and nothing
//! here knows of tokio, tonic or a database.

mod clock;
mod denial;
mod email;
mod fault;
mod id;
mod private;
mod tenant;
mod text;
mod trace;
mod validate;

pub use clock::{Clock, ClockHand, Timestamp};
pub use denial::Denial;
pub use email::{Email, EmailError};
pub use fault::{Code, Fault, Violation};
pub use id::{EventId, IdError, SessionId, UserId};
pub use private::is_private;
pub use tenant::{Tenant, TenantError};
pub use text::{Broken, Checked, TextRules, is_unseen};
pub use trace::{TraceParent, TraceParentError};
pub use validate::{FieldPath, Validate};
