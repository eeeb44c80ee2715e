//! Empty on purpose: `tcptrace` build-depends on this crate, so that cargo rebuilds the kernel
//! programs when they or `tcptrace-common` change.
#![no_std]
