//! Helper programs on functions of the kernel, where it takes them: a kernel may be built without
//! trampolines, or forbid them (this needs no more than BTF otherwise). All of them are optional.
//!
//! A function's arguments may be others in the next version of the same series, so the program is chosen
//! by the prototype that the running kernel's BTF has.

use std::env;

use anyhow::{Context as _, Result, anyhow, bail};
use aya::{
    Btf as AyaBtf, Ebpf,
    programs::{FEntry, FExit, Program},
};
use tcptrace_common::symbols;

use super::{
    HookState,
    btf::Btf,
    loader::{explain, program},
};

const ACCEPT: &str = "inet_csk_accept";
const MADE: &str = "inet_twsk_alloc";
const ANSWERED: &str = "tcp_timewait_state_process";
/// Called for each minisock. The first one leaves the tables with it. A compiler may leave none of that
/// function, which is static, but not of the other, which is called when nobody looks at it any more.
const ENDED: [&str; 2] = ["inet_twsk_kill", "tcp_twsk_destructor"];
/// All functions that programs are attached to.
pub(super) const FUNCTIONS: [&str; 5] = [ACCEPT, MADE, ANSWERED, ENDED[0], ENDED[1]];

/// Kernels without it free the code that calls a program when that is detached, although a task that
/// sleeps in the function, as `accept()` does, comes back through it: the host would crash. It came with
/// 5.12 and 5.10.28 ("bpf: Fix fexit trampoline").
const SAFE_TO_LEAVE: &str = "bpf_tramp_image";

/// `TCPTRACE_FENTRY=off` leaves the helpers out.
const SWITCH: &str = "TCPTRACE_FENTRY";

/// A function to attach to, and the program for its prototype.
struct Target {
    function: &'static str,
    program: Result<&'static str>,
    purpose: &'static str,
}

/// Attaches what this kernel takes; the others say why they are off.
pub(super) fn attach(ebpf: &mut Ebpf, btf: &Btf, ayas: &AyaBtf) -> Vec<HookState> {
    let is_off = env::var_os(SWITCH).is_some_and(|value| value == "off");
    let is_safe = is_safe(btf);
    targets(btf)
        .map(|Target { function, program, purpose }| {
            let attached = match program {
                _ if is_off => Err(anyhow!("{SWITCH} is off")),
                _ if !is_safe => Err(anyhow!(
                    "this kernel crashes when such programs go; Linux 5.10.28 and 5.12 mended that"
                )),
                Ok(program) => attach_to(ebpf, program, function, ayas),
                Err(error) => Err(error),
            };
            let problem = attached.err().map(|error| format!("{error:#}"));
            HookState { name: function, purpose, problem }
        })
        .into()
}

fn is_safe(btf: &Btf) -> bool {
    btf.structure(SAFE_TO_LEAVE).is_some()
}

fn targets(btf: &Btf) -> [Target; 4] {
    let ended = if btf.function_arguments(ENDED[0]).is_some() { ENDED[0] } else { ENDED[1] };
    [
        Target {
            function: ACCEPT,
            program: choose(btf, ACCEPT, &[(2, symbols::ACCEPT), (4, symbols::ACCEPT_FOUR)]),
            purpose: "who accepted a connection, at once (else by a look at who holds it)",
        },
        Target {
            function: MADE,
            program: choose(btf, MADE, &[(3, symbols::MINISOCK_MADE)]),
            purpose: "that TIME_WAIT and orphan FIN_WAIT2 begin, confirmed",
        },
        Target {
            function: ANSWERED,
            program: choose(btf, ANSWERED, &symbols::MINISOCK_ANSWERED),
            purpose: "when an orphan's FIN_WAIT2 becomes TIME_WAIT, exactly (else by dumps)",
        },
        Target {
            function: ended,
            program: choose(btf, ended, &[(1, symbols::MINISOCK_ENDED)]),
            purpose: "when TIME_WAIT and orphan FIN_WAIT2 end, exactly (else by timer and dumps)",
        },
    ]
}

/// The program for as many arguments as the function has here.
fn choose(btf: &Btf, function: &str, programs: &[(u32, &'static str)]) -> Result<&'static str> {
    let arguments = btf
        .function_arguments(function)
        .with_context(|| format!("this kernel has no function {function}"))?;
    let program = programs.iter().find(|(fits, _)| *fits == arguments);
    program
        .map(|(_, name)| *name)
        .with_context(|| format!("{function} has {arguments} arguments, which is new to tcptrace"))
}

fn attach_to(ebpf: &mut Ebpf, name: &str, function: &str, btf: &AyaBtf) -> Result<()> {
    let attached = match program(ebpf, name)? {
        Program::FEntry(program) => {
            let program: &mut FEntry = program;
            program.load(function, btf).map_err(explain)?;
            program.attach().map(drop)
        }
        Program::FExit(program) => {
            let program: &mut FExit = program;
            program.load(function, btf).map_err(explain)?;
            program.attach().map(drop)
        }
        _ => bail!("the program {name} is for no function"),
    };
    attached.with_context(|| format!("cannot attach to the function {function}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BTF of functions with so many arguments.
    fn btf(functions: &[(&str, u32)]) -> Btf {
        let small = |number: usize| u32::try_from(number).expect("small");
        let (mut types, mut strings) = (Vec::new(), vec![0]);
        for (index, (name, arguments)) in (0_u32..).zip(functions) {
            types.extend([0, (13 << 24) | arguments, 0]);
            types.extend(std::iter::repeat_n(0, 2 * *arguments as usize));
            types.extend([small(strings.len()), 12 << 24, 2 * index + 1]);
            strings.extend_from_slice(name.as_bytes());
            strings.push(0);
        }
        of_types(&types, &strings)
    }

    fn of_types(types: &[u32], strings: &[u8]) -> Btf {
        let small = |number: usize| u32::try_from(number).expect("small");
        let length = small(4 * types.len());
        let header = [0x1_eb9f, 24, 0, length, length, small(strings.len())];
        let words = header.iter().chain(types).flat_map(|word| word.to_ne_bytes());
        Btf::parse(words.chain(strings.iter().copied()).collect()).expect("valid")
    }

    #[test]
    fn only_kernels_that_survive_their_end_get_programs() {
        assert!(!is_safe(&btf(&[(ACCEPT, 4)])));
        let (name, structure) = (b"\0bpf_tramp_image\0", [1, 4 << 24, 0]);
        assert!(is_safe(&of_types(&structure, name)));
    }

    #[test]
    fn the_program_is_chosen_by_the_prototype() {
        let old = btf(&[(ACCEPT, 4), (MADE, 3), (ANSWERED, 3), ("inet_twsk_kill", 1)]);
        let new = btf(&[(ACCEPT, 2), (ANSWERED, 5), (ENDED[1], 1), (MADE, 4)]);
        let chosen = |btf: &Btf| {
            targets(btf).map(|target| match target.program {
                Ok(program) => format!("{} {program}", target.function),
                Err(error) => error.to_string(),
            })
        };
        assert_eq!(
            chosen(&old),
            [
                "inet_csk_accept accept_four",
                "inet_twsk_alloc minisock_made",
                "tcp_timewait_state_process minisock_answered_three",
                "inet_twsk_kill minisock_ended",
            ]
        );
        assert_eq!(
            chosen(&new),
            [
                "inet_csk_accept accept",
                "inet_twsk_alloc has 4 arguments, which is new to tcptrace",
                "tcp_timewait_state_process minisock_answered_five",
                "tcp_twsk_destructor minisock_ended",
            ]
        );
        assert_eq!(chosen(&btf(&[]))[0], "this kernel has no function inet_csk_accept");
    }
}
