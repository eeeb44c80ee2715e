//! The table of which module of `tcptrace` may use what.
//!
//! The core is pure, so that it can be tested without root and replayed; aya has one home; nothing
//! depends on the commands. Crates would let the compiler see to that, at the price of a crate
//! each; this table does it for modules.

/// What the modules named may use. Entries are beginnings of paths, and the longest one that fits
/// a path decides: `""`, which fits all, forbids whatever is not allowed by name.
pub(super) struct Boundary {
    modules: Modules,
    may: &'static [&'static str],
    may_not: &'static [&'static str],
    pub(super) why: &'static str,
}

/// Top-level modules; `main` and `lib` are the files of these names.
pub(super) enum Modules {
    These(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

/// The table. To add a rule, add an entry.
pub(super) const BOUNDARIES: &[Boundary] = &[
    Boundary {
        modules: Modules::These(&["time"]),
        may: &["std", "core", "crate::time", "tcptrace_common"],
        may_not: &[""],
        why: "time stands on the standard library alone",
    },
    Boundary {
        modules: Modules::These(&["event"]),
        may: &["std", "core", "crate::event", "crate::time", "tcptrace_common"],
        may_not: &[""],
        why: "events are plain values, for the kernel's side and for recordings alike",
    },
    Boundary {
        modules: Modules::These(&["model"]),
        may: &[
            "std",
            "core",
            "crate::event",
            "crate::time",
            "crate::model",
            "tcptrace_common",
            "foldhash",
            "hdrhistogram",
            "ipnet",
            "slab",
            "strsim",
        ],
        may_not: &[
            "",
            "std::env",
            "std::fs",
            "std::io",
            "std::net::TcpListener",
            "std::net::TcpStream",
            "std::net::UdpSocket",
            "std::os",
            "std::process",
            "std::thread",
            "std::time::Instant",
            "std::time::SystemTime",
            "Instant::now",
            "SystemTime::now",
            "print!",
            "println!",
            "eprint!",
            "eprintln!",
        ],
        why: "the model is pure: events and the time are arguments, facts are results",
    },
    Boundary {
        modules: Modules::These(&["recording"]),
        may: &[],
        may_not: &[
            "crate::cli",
            "crate::commands",
            "crate::kernel",
            "crate::live",
            "crate::model",
            "crate::output",
            "crate::pipeline",
        ],
        why: "a recording holds events, and knows nothing of what becomes of them",
    },
    Boundary {
        modules: Modules::AllBut(&["recording"]),
        may: &[],
        may_not: &["arrow_buffer", "arrow_ipc"],
        why: "only recording/ knows how events lie in a file",
    },
    Boundary {
        modules: Modules::AllBut(&["recording", "export"]),
        may: &[],
        may_not: &["arrow_array", "arrow_schema"],
        why: "only recording/ and export/ have columns",
    },
    Boundary {
        modules: Modules::AllBut(&["export"]),
        may: &[],
        may_not: &["parquet"],
        why: "only export/ knows how rows lie in a Parquet file",
    },
    Boundary {
        modules: Modules::These(&["export"]),
        may: &[],
        may_not: &[
            "crate::cli",
            "crate::commands",
            "crate::kernel",
            "crate::live",
            "crate::pipeline",
            "crate::replay",
        ],
        why: "export turns changes into tables, wherever the changes come from",
    },
    Boundary {
        modules: Modules::These(&["kernel"]),
        may: &["crate::model::filter"],
        may_not: &["crate::model", "crate::output", "crate::pipeline", "crate::commands"],
        why: "the kernel's side makes events and knows nothing of what becomes of them",
    },
    Boundary {
        modules: Modules::These(&["output"]),
        may: &[],
        may_not: &["crate::kernel", "crate::commands", "crate::pipeline", "tokio"],
        why: "output turns results into bytes, wherever the results come from",
    },
    Boundary {
        modules: Modules::AllBut(&["kernel"]),
        may: &[],
        may_not: &["aya", "aya_log", "aya_obj"],
        why: "only kernel/ knows how programs get into the kernel",
    },
    Boundary {
        modules: Modules::AllBut(&["commands", "cli", "lib", "main"]),
        may: &[],
        may_not: &["crate::commands"],
        why: "commands use the rest, not the other way round",
    },
];

impl Boundary {
    /// Whether the entry is about this top-level module.
    pub(super) fn is_about(&self, module: &str) -> bool {
        match self.modules {
            Modules::These(modules) => modules.contains(&module),
            Modules::AllBut(modules) => !modules.contains(&module),
        }
    }

    /// The entry that forbids this path, if the longest fitting one does.
    pub(super) fn forbids(&self, path: &str) -> Option<&'static str> {
        let longest = |entries: &'static [&'static str]| {
            entries.iter().copied().filter(|entry| fits(path, entry)).max_by_key(|e| e.len())
        };
        let forbidden = longest(self.may_not)?;
        let allowed = longest(self.may);
        allowed.is_none_or(|allowed| allowed.len() < forbidden.len()).then_some(forbidden)
    }
}

fn fits(path: &str, entry: &str) -> bool {
    let rest = path.strip_prefix(entry);
    rest.is_some_and(|rest| entry.is_empty() || rest.is_empty() || rest.starts_with("::"))
}
