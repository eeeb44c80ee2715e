//! Kernels out of Debian's packages, downloaded by apt and unpacked.
//!
//! apt works here with lists, state and cache of its own, so that nothing is installed and nothing that
//! this machine knows of its packages changes. The mirror is the one that this machine has configured.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::only_file;
use crate::project;

/// Names the mirror where this machine has none configured.
const MIRROR: &str = "TCPTRACE_DEBIAN_MIRROR";
/// The keys that sign Debian's lists, where the package `debian-archive-keyring` puts them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// The package that depends on the newest kernel for virtual machines.
const NEWEST: &str = "linux-image-cloud-amd64";
/// A mirror that does not answer is given up after this time, in seconds.
const PATIENCE: u32 = 30;

/// An unpacked kernel.
pub(super) struct Package {
    /// As `uname -r` tells it.
    pub(super) release: String,
    pub(super) image: PathBuf,
    /// The folder of its modules.
    pub(super) modules: PathBuf,
}

/// Unpacks the newest kernel of a suite, unless it lies there already.
pub(super) fn fetch(folder: &Path, name: &str, suite: &str) -> Result<Package> {
    let unpacked = folder.join(name).join("package");
    if !unpacked.is_dir() {
        let apt = Apt::new(&folder.join("apt"), suite, &mirror()?, PATIENCE)?;
        if let Err(error) = download(&apt, suite, &unpacked) {
            bail!(
                "cannot fetch the kernel {name}: {error:#}; it takes the network once: connect this \
                 machine, or name a mirror of Debian within its reach by {MIRROR}=URL"
            );
        }
    }
    located(&unpacked)
}

/// Finds what older and newer packages have in different places.
fn located(unpacked: &Path) -> Result<Package> {
    let folders = ["lib/modules", "usr/lib/modules"].map(|place| unpacked.join(place));
    let folder = folders.iter().find(|folder| folder.is_dir());
    let folder = only_file(folder.context("the package has no modules")?, "")?;
    let release = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let images = [unpacked.join(format!("boot/vmlinuz-{release}")), folder.join("vmlinuz")];
    let image = images.into_iter().find(|image| image.is_file());
    let image = image.context("the package has no kernel")?;
    Ok(Package { release, image, modules: folder.join("kernel") })
}

fn download(apt: &Apt, suite: &str, unpacked: &Path) -> Result<()> {
    project::execute(apt.command("apt-get").arg("update"))?;
    let show = |package: &str| output(apt.command("apt-cache").args(["show", package]));
    let image = dependencies(&show(NEWEST)?, &["linux-image-"]).pop();
    let image = image.with_context(|| format!("{NEWEST} of {suite} names no kernel package"))?;
    // Newer packages of kernels are empty, and depend on those that have their parts.
    let mut packages = dependencies(&show(&image)?, &["linux-binary-", "linux-modules-"]);
    packages.push(image);
    let archives = apt.folder.join("archives");
    if archives.is_dir() {
        fs::remove_dir_all(&archives).context("cannot remove what an earlier download left")?;
    }
    fs::create_dir_all(&archives).context("cannot make a folder for packages")?;
    let mut get = apt.command("apt-get");
    project::execute(get.arg("download").args(&packages).current_dir(&archives))?;
    // Whole or not at all: a folder that is there counts as complete.
    let unfinished = unpacked.with_extension("unfinished");
    fs::create_dir_all(&unfinished).context("cannot make a folder for the kernel")?;
    for package in &packages {
        let archive = only_file(&archives, &format!("{package}_"))?;
        let mut extract = Command::new("dpkg-deb");
        project::execute(extract.arg("--extract").arg(archive).arg(&unfinished))?;
    }
    fs::remove_dir_all(&archives).context("cannot remove the package")?;
    fs::rename(&unfinished, unpacked).context("cannot put the kernel in its place")
}

/// apt with everything of its own for one suite.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// `patience` is in seconds: a mirror that says nothing for so long, twice, is given up.
    fn new(folder: &Path, suite: &str, mirror: &str, patience: u32) -> Result<Self> {
        let folder = folder.join(suite);
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part)).context("cannot make a folder for apt")?;
        }
        let signed = if Path::new(KEYRING).is_file() {
            format!("[signed-by={KEYRING}] ")
        } else {
            String::new()
        };
        let source = format!("deb {signed}{mirror} {suite} main\n");
        fs::write(folder.join("sources.list"), source).context("cannot write a list for apt")?;
        let place = folder.to_str().context("the path of the target directory is no UTF-8")?;
        let settings = format!(
            "Dir::Etc::sourcelist \"{place}/sources.list\";\n\
             Dir::Etc::sourceparts \"-\";\n\
             Dir::State \"{place}\";\n\
             Dir::State::lists \"{place}/lists\";\n\
             Dir::State::status \"/dev/null\";\n\
             Dir::Cache \"{place}/cache\";\n\
             APT::Architecture \"amd64\";\n\
             APT::Sandbox::User \"root\";\n\
             // What others have hooked into updates concerns the machine's own lists.\n\
             #clear APT::Update::Post-Invoke-Success;\n\
             APT::Update::Error-Mode \"any\";\n\
             Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n\
             Acquire::Languages \"none\";\n\
             Acquire::Retries \"1\";\n\
             Acquire::http::Timeout \"{patience}\";\n\
             Acquire::https::Timeout \"{patience}\";\n"
        );
        fs::write(folder.join("apt.conf"), settings).context("cannot write settings for apt")?;
        Ok(Self { folder })
    }

    /// One of apt's programs, with these settings.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-q").arg("-c").arg(self.folder.join("apt.conf"));
        command
    }
}

/// The mirror that somebody names, or else the first of Debian's that this machine has configured.
fn mirror() -> Result<String> {
    if let Some(mirror) = env::var_os(MIRROR) {
        return mirror.into_string().ok().with_context(|| format!("{MIRROR} is no UTF-8"));
    }
    let mut targets = Command::new("apt-get");
    targets.args(["indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)"]);
    targets.arg("Created-By: Packages");
    match debian_mirror(&output(&mut targets)?) {
        Some(mirror) => Ok(mirror.to_owned()),
        None => bail!(
            "apt knows no mirror of Debian here; run `apt-get update` as root, \
             or name a mirror: {MIRROR}=URL"
        ),
    }
}

fn debian_mirror(targets: &str) -> Option<&str> {
    targets.lines().find_map(|line| line.strip_prefix("Debian|Debian|"))
}

/// The packages with one of these beginnings that a package depends on.
fn dependencies(shown: &str, prefixes: &[&str]) -> Vec<String> {
    let depends = shown.lines().find_map(|line| line.strip_prefix("Depends: ")).unwrap_or_default();
    let names = depends.split(',').filter_map(|dependency| dependency.split_whitespace().next());
    names
        .filter(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)))
        .map(str::to_owned)
        .collect()
}

fn output(command: &mut Command) -> Result<String> {
    let shown = project::show(command);
    let output = command.output().with_context(|| format!("cannot start `{shown}`"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{shown}` failed: {stderr}");
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` wrote no UTF-8"))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// What is told when the mirror at this address gives no lists.
    fn failed_download(name: &str, address: &str) -> String {
        let folder = env::temp_dir().join(format!("tcptrace-apt-{name}-{}", std::process::id()));
        let apt = Apt::new(&folder, "trixie", &format!("http://{address}/debian"), 1).unwrap();
        let error = download(&apt, "trixie", &folder.join("package")).unwrap_err();
        assert!(!folder.join("package").exists(), "nothing may look like a kernel");
        fs::remove_dir_all(&folder).unwrap();
        format!("{error:#}")
    }

    #[test]
    fn a_mirror_out_of_reach_is_told() {
        // The port of a listener that is gone, so that nobody is there.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let told = failed_download("refused", &address);
        assert!(told.contains("update` failed"), "{told}");
    }

    #[test]
    fn a_mirror_that_never_answers_is_given_up() {
        // Connections are made, by the kernel, and nobody reads what is asked.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let told = failed_download("silent", &listener.local_addr().unwrap().to_string());
        assert!(told.contains("update` failed"), "{told}");
    }

    #[test]
    fn kernels_are_found_in_either_place() {
        let folder = env::temp_dir().join(format!("tcptrace-vm-{}", std::process::id()));
        for (modules, image) in [
            ("lib/modules/5.10.0-cloud", "boot/vmlinuz-5.10.0-cloud"),
            ("usr/lib/modules/7.2.13-cloud", "usr/lib/modules/7.2.13-cloud/vmlinuz"),
        ] {
            fs::create_dir_all(folder.join(modules)).unwrap();
            fs::create_dir_all(folder.join("boot")).unwrap();
            fs::write(folder.join(image), "").unwrap();
            let package = located(&folder).unwrap();
            fs::remove_dir_all(&folder).unwrap();
            assert_eq!(package.image, folder.join(image));
            assert_eq!(package.modules, folder.join(modules).join("kernel"));
            assert!(modules.ends_with(&package.release));
        }
    }

    #[test]
    fn the_mirror_is_the_first_of_debian_itself() {
        let targets = "Other|Other|http://other.example/debian/\n\
            Debian|Debian-Security|http://mirror.example/debian-security/\n\
            Debian|Debian|http://mirror.example/debian/\n\
            Debian|Debian|http://second.example/debian/\n";
        assert_eq!(debian_mirror(targets), Some("http://mirror.example/debian/"));
        assert_eq!(debian_mirror("Ubuntu|Ubuntu|http://mirror.example/\n"), None);
    }

    #[test]
    fn the_packages_of_a_kernel_are_found_among_others() {
        let shown = "Package: linux-image-cloud-amd64\n\
            Depends: linux-base-cloud (= 7.2.13-1), linux-image-7.2.13-cloud (= 7.2.13-1)\n";
        assert_eq!(dependencies(shown, &["linux-image-"]), ["linux-image-7.2.13-cloud"]);
        assert!(dependencies("Depends: linux-base | linux-tool\n", &["linux-image-"]).is_empty());
        assert!(dependencies("", &["linux-image-"]).is_empty());
    }
}
