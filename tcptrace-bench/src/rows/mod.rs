//! The groups of rows, one file each.

use anyhow::{Result, bail};

use crate::{
    options::{Bench, Options},
    sheet::Sheet,
};

mod held;
mod idle;
mod kept;
mod latency;
mod program;
mod read;
mod record;
mod stages;
mod start;
mod tracked;

/// Rows that are measured together.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Whether it is measured when there is little time.
    pub(crate) is_main: bool,
    /// Measures all of them once.
    pub(crate) round: fn(&Bench, &mut Sheet) -> Result<()>,
}

const GROUPS: &[Group] = &[
    Group {
        name: "record",
        about: "`record` while connections come as fast as they can",
        is_main: true,
        round: record::round,
    },
    Group {
        name: "read",
        about: "what was recorded is read back",
        is_main: true,
        round: read::round,
    },
    Group {
        name: "kept",
        about: "connections a second, of those without any tracer",
        is_main: true,
        round: kept::round,
    },
    Group {
        name: "program",
        about: "in the kernel, by its own statistics; their floor is in all of it",
        is_main: true,
        round: program::round,
    },
    Group {
        name: "latency",
        about: "from a transition until its line is read",
        is_main: true,
        round: latency::round,
    },
    Group { name: "start", about: "until the first line", is_main: true, round: start::round },
    Group {
        name: "stages",
        about: "userspace, by transition, without a kernel",
        is_main: true,
        round: stages::round,
    },
    Group {
        name: "tracked",
        about: "the tracker alone, by sockets that it follows",
        is_main: true,
        round: tracked::round,
    },
    Group {
        name: "held",
        about: "sockets that are established and idle",
        is_main: true,
        round: held::round,
    },
    Group { name: "idle", about: "a quiet host", is_main: false, round: idle::round },
];

/// The groups that were asked for, in their usual order.
pub(crate) fn chosen(options: &Options) -> Result<Vec<&'static Group>> {
    for name in &options.rows {
        if !GROUPS.iter().any(|group| group.name == name) {
            let names: Vec<&str> = GROUPS.iter().map(|group| group.name).collect();
            bail!("there are no rows {name:?}; there are {}", names.join(", "));
        }
    }
    let only_main = options.effort().only_main;
    let is_chosen = |group: &&Group| match options.rows.as_slice() {
        [] => group.is_main || !only_main,
        names => names.iter().any(|name| name == group.name),
    };
    Ok(GROUPS.iter().filter(is_chosen).collect())
}

/// A large number, short.
fn people(number: u64) -> String {
    match number {
        0..1000 => number.to_string(),
        1000..1_000_000 => format!("{}k", number / 1000),
        _ => format!("{}M", number / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn names(arguments: &[&str]) -> Vec<&'static str> {
        let options = Options::parse_from([&["bench"], arguments].concat());
        chosen(&options).unwrap().iter().map(|group| group.name).collect()
    }

    #[test]
    fn rows_are_chosen_by_name_or_by_time() {
        assert_eq!(names(&["--rows", "idle,record"]), ["record", "idle"]);
        assert_eq!(names(&["--quick", "--rows", "idle"]), ["idle"]);
        assert_eq!(names(&[]).len(), GROUPS.len());
        assert!(!names(&["--quick"]).contains(&"idle"));
    }

    #[test]
    fn a_group_that_does_not_exist_is_refused_with_those_that_do() {
        let options = Options::parse_from(["bench", "--rows", "records"]);
        let refusal = chosen(&options).err().unwrap().to_string();
        assert!(refusal.starts_with("there are no rows \"records\"; there are record, read,"));
    }
}
