//! Whether /proc shows the processes of the whole system.

use super::{Requirement, Status, good};
use crate::kernel::namespaces::{self, Namespaces};

/// A line about /proc.
pub(super) fn visible() -> Requirement {
    const NAME: &str = "processes";
    let Namespaces { hidden: Some(hidden), .. } = namespaces::all() else {
        return good(NAME, "all are seen");
    };
    Requirement {
        name: NAME,
        status: Status::Limited,
        found: format!("{}: their network namespaces are not found", hidden.problem),
        fix: Some(hidden.fix.to_owned()),
    }
}
