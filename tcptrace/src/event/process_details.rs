//! What a process is, beyond its name.

/// What /proc told of a process when it was found holding a socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessDetails {
    /// Process id in our pid namespace.
    pub pid: u32,
    /// Its arguments, each ending in a zero byte; any bytes, cut after [`Self::MAX_CMDLINE`].
    pub cmdline: Option<Vec<u8>>,
    /// Its cgroup, a path; of several hierarchies the unified one, else the longest path.
    pub cgroup: Option<String>,
}

impl ProcessDetails {
    /// Bytes of a command line that are kept.
    pub const MAX_CMDLINE: usize = 512;

    /// The command line as text, arguments with spaces between. What is not UTF-8 is replaced.
    #[must_use]
    pub fn command(&self) -> Option<String> {
        let bytes = self.cmdline.as_deref()?;
        let end = bytes.iter().rposition(|&b| b != 0)? + 1;
        let words = bytes[..end].split(|&b| b == 0);
        let words: Vec<_> = words.map(String::from_utf8_lossy).collect();
        Some(words.join(" "))
    }

    /// The id of the container that the cgroup belongs to: 64 hexadecimal digits, as Docker,
    /// containerd, CRI-O and Podman name theirs.
    #[must_use]
    pub fn container(&self) -> Option<&str> {
        const DIGITS: usize = 64;
        let path = self.cgroup.as_deref()?;
        let mut names = path.rsplit('/').flat_map(|name| name.split(['-', '.', ':']));
        names.find(|name| name.len() == DIGITS && name.bytes().all(|b| b.is_ascii_hexdigit()))
    }
}

#[cfg(test)]
mod tests {
    use super::ProcessDetails;

    #[test]
    fn a_command_line_is_read_as_words() {
        let command = |cmdline: &[u8]| {
            ProcessDetails { cmdline: Some(cmdline.to_vec()), ..ProcessDetails::default() }
                .command()
        };
        assert_eq!(command(b"nginx\0-g\0daemon off;\0").as_deref(), Some("nginx -g daemon off;"));
        assert_eq!(command(b"nginx: worker\0\0\0\0").as_deref(), Some("nginx: worker"));
        assert_eq!(command(b"a\xffb").as_deref(), Some("a\u{fffd}b"));
        assert_eq!(command(b""), None);
        assert_eq!(command(b"\0\0"), None);
    }

    #[test]
    fn containers_are_told_from_their_cgroup() {
        let id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        for path in [
            format!("/docker/{id}"),
            format!("/system.slice/docker-{id}.scope"),
            format!("/kubepods.slice/kubepods-pod1_2.slice/cri-containerd-{id}.scope"),
            format!("/machine.slice/libpod-{id}.scope/container"),
        ] {
            let details = ProcessDetails { cgroup: Some(path), ..ProcessDetails::default() };
            assert_eq!(details.container(), Some(id));
        }
        let details = ProcessDetails {
            cgroup: Some("/system.slice/nginx.service".to_owned()),
            ..ProcessDetails::default()
        };
        assert_eq!(details.container(), None);
    }
}
