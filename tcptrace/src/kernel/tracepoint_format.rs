//! The `format` file of `sock:inet_sock_set_state`: does the classic program read what is there?

use std::{fs, io, path::Path};

use anyhow::{Context as _, Result, anyhow, bail};

/// Where tracefs may be mounted.
const MOUNTS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
const EVENT: &str = "events/sock/inet_sock_set_state";

/// Field, offset and size, as `set_state_classic` reads them (the same from 5.6 to 7.2).
const EXPECTED: [(&str, u32, u32); 11] = [
    ("skaddr", 8, 8),
    ("oldstate", 16, 4),
    ("newstate", 20, 4),
    ("sport", 24, 2),
    ("dport", 26, 2),
    ("family", 28, 2),
    ("protocol", 30, 2),
    ("saddr", 32, 4),
    ("daddr", 36, 4),
    ("saddr_v6", 40, 16),
    ("daddr_v6", 56, 16),
];

/// Where tracefs is mounted with events in it.
///
/// # Errors
/// If it is nowhere, or may be there but not be looked into.
pub(crate) fn tracefs() -> io::Result<&'static Path> {
    let mut problem = io::Error::from(io::ErrorKind::NotFound);
    for mount in MOUNTS.map(Path::new) {
        match fs::metadata(mount.join("events")) {
            Ok(events) if events.is_dir() => return Ok(mount),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => problem = error,
            _ => {}
        }
    }
    Err(problem)
}

/// Compares the running kernel's record with what the program reads.
///
/// # Errors
/// If tracefs is not there, the tracepoint is missing, or its record is laid out differently.
pub(super) fn check() -> Result<()> {
    let mount = tracefs().map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => anyhow!("tracefs may not be read"),
        _ => anyhow!("tracefs is not mounted"),
    })?;
    let path = mount.join(EVENT).join("format");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    compare(&text).with_context(|| format!("{} is laid out differently here", path.display()))
}

pub(super) fn compare(text: &str) -> Result<()> {
    let fields: Vec<_> = text.lines().filter_map(parse_field).collect();
    for expected in EXPECTED {
        let (name, offset, size) = expected;
        match fields.iter().find(|field| field.0 == name) {
            Some(field) if *field == expected => {}
            Some((_, there, width)) => {
                bail!("field {name} is at {there} with {width} bytes, not at {offset} with {size}");
            }
            None => bail!("field {name} is missing"),
        }
    }
    Ok(())
}

/// Reads a line such as `field:__u8 saddr[4]; offset:32; size:4; signed:0;`.
fn parse_field(line: &str) -> Option<(&str, u32, u32)> {
    let mut parts = line.trim().split(';').map(str::trim);
    let declaration = parts.next()?.strip_prefix("field:")?;
    let name = declaration.rsplit([' ', '*']).next()?.split('[').next()?;
    let offset = parts.next()?.strip_prefix("offset:")?.parse().ok()?;
    let size = parts.next()?.strip_prefix("size:")?.parse().ok()?;
    Some((name, offset, size))
}

#[cfg(test)]
mod tests {
    use super::compare;

    const GOOD: &str = "name: inet_sock_set_state\nID: 2287\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\n\
        \tfield:const void * skaddr;\toffset:8;\tsize:8;\tsigned:0;\n\
        \tfield:int oldstate;\toffset:16;\tsize:4;\tsigned:1;\n\
        \tfield:int newstate;\toffset:20;\tsize:4;\tsigned:1;\n\
        \tfield:__u16 sport;\toffset:24;\tsize:2;\tsigned:0;\n\
        \tfield:__u16 dport;\toffset:26;\tsize:2;\tsigned:0;\n\
        \tfield:__u16 family;\toffset:28;\tsize:2;\tsigned:0;\n\
        \tfield:__u16 protocol;\toffset:30;\tsize:2;\tsigned:0;\n\
        \tfield:__u8 saddr[4];\toffset:32;\tsize:4;\tsigned:0;\n\
        \tfield:__u8 daddr[4];\toffset:36;\tsize:4;\tsigned:0;\n\
        \tfield:__u8 saddr_v6[16];\toffset:40;\tsize:16;\tsigned:0;\n\
        \tfield:__u8 daddr_v6[16];\toffset:56;\tsize:16;\tsigned:0;\n";

    #[test]
    fn the_known_layout_passes() {
        compare(GOOD).expect("this is the layout of 5.6 to 7.2");
    }

    #[test]
    fn a_shifted_or_shorter_layout_is_named() {
        let shifted =
            GOOD.replace("protocol;\toffset:30;\tsize:2", "protocol;\toffset:30;\tsize:1");
        assert_eq!(
            compare(&shifted).expect_err("4.16 to 5.5").to_string(),
            "field protocol is at 30 with 1 bytes, not at 30 with 2"
        );
        let missing = GOOD.replace("dport", "port");
        assert_eq!(compare(&missing).expect_err("no dport").to_string(), "field dport is missing");
        assert!(compare("").is_err());
    }
}
