//! How many arguments the kernel's tracepoints and functions have: what changes between its versions.

use super::{Btf, KIND_FUNC_PROTO, KIND_PTR};

impl Btf {
    /// Number of arguments of the tracepoint `name`, as a BTF program sees them; `None` if the
    /// kernel has no such tracepoint.
    #[must_use]
    pub fn tracepoint_arguments(&self, name: &str) -> Option<u32> {
        let typedef = self.find(&self.typedefs, &tracepoint_type(name))?;
        let pointer = self.type_header(self.type_header(typedef)?.reference)?;
        let prototype = self.type_header(pointer.reference)?;
        if pointer.kind != KIND_PTR || prototype.kind != KIND_FUNC_PROTO {
            return None;
        }
        // The first parameter is the probe's private data.
        prototype.vlen.checked_sub(1)
    }

    /// Number of arguments of the kernel function `name`; `None` if the kernel has no such function that
    /// a program can be attached to.
    #[must_use]
    pub fn function_arguments(&self, name: &str) -> Option<u32> {
        let function = self.type_header(self.find(&self.functions, name)?)?;
        let prototype = self.type_header(function.reference)?;
        (prototype.kind == KIND_FUNC_PROTO).then_some(prototype.vlen)
    }
}

/// The type that the kernel gives a tracepoint.
pub(super) fn tracepoint_type(tracepoint: &str) -> String {
    format!("btf_trace_{tracepoint}")
}
