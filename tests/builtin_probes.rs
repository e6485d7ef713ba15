//! The probes of `wigo-probe` as the agent starts them: the real executable through links, on the real
//! `/proc` of this machine.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const EXECUTABLE: &str = env!("CARGO_BIN_EXE_wigo-probe");

/// Folders as they are installed, emptied when dropped.
struct Installed {
    root: TempDir,
}

impl Installed {
    fn new() -> Installed {
        let root = tempfile::tempdir().unwrap();
        for folder in ["examples", "60", "conf.d", "state"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        symlink(EXECUTABLE, root.path().join("examples/wigo-probe")).unwrap();
        Installed { root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Switches `probe` on under `name`.
    fn link(&self, name: &str, probe: &str) {
        let example = self.path("examples").join(probe);
        if !example.is_symlink() {
            symlink("wigo-probe", example).unwrap();
        }
        symlink(format!("../examples/{probe}"), self.path("60").join(name)).unwrap();
    }

    fn configure(&self, name: &str, text: &str) {
        fs::write(self.path("conf.d").join(format!("{name}.conf")), text).unwrap();
    }

    /// Runs what is linked as `name`, in the environment of the agent.
    fn run(&self, name: &str) -> (Value, i32) {
        self.run_path(&self.path("60").join(name))
    }

    fn run_path(&self, path: &Path) -> (Value, i32) {
        let output = Command::new(path)
            .env_clear()
            .env("WIGO_PROBE_CONFIG_ROOT", self.path("conf.d"))
            .env("WIGO_PROBE_STATE", self.path("state"))
            .current_dir("/")
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        (json(&output), output.status.code().unwrap())
    }
}

/// The one line that a probe prints.
fn json(output: &Output) -> Value {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    assert!(text.ends_with('\n'), "{text}");
    let value: Value = serde_json::from_str(text).unwrap();
    let keys: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["Detail", "Message", "Metrics", "Status", "Value", "Version"]);
    value
}

fn message(value: &Value) -> &str {
    value["Message"].as_str().unwrap()
}

#[test]
fn every_probe_answers_with_its_defaults() {
    let installed = Installed::new();
    // The default of that one is a file in `/`, which is none of a test's business.
    let harmless = |name: &&str| *name != "check_readonly_filesystem";
    for name in wigo::builtin::PROBES.iter().map(|(name, _)| *name).filter(harmless) {
        installed.link(name, name);
        let (value, code) = installed.run(name);
        if name == "check_process" {
            assert_eq!(code, 13);
            assert!(message(&value).contains("nothing configured"));
            continue;
        }
        assert_eq!(code, 0, "{value}");
        let status = value["Status"].as_i64().unwrap();
        // This machine may be in any state, but it is a machine whose state can be known.
        assert!((100..500).contains(&status), "{value}");
        let word = value["Value"].as_str().unwrap();
        assert_eq!(word, wigo::status::Status::new(status).unwrap().level().word());
        for metric in value["Metrics"].as_array().unwrap() {
            assert!(metric["Tags"].is_object() && metric["Value"].is_number(), "{metric}");
        }
    }
}

#[test]
fn metrics_have_the_tags_of_the_original() {
    let installed = Installed::new();
    installed.link("hardware_load_average", "hardware_load_average");
    installed.link("hardware_memory", "hardware_memory");
    let tags = |name: &str, tag: &str| -> Vec<String> {
        let (value, _) = installed.run(name);
        let metrics = value["Metrics"].as_array().unwrap();
        metrics.iter().map(|m| m["Tags"][tag].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(tags("hardware_load_average", "load"), ["load1", "load5", "load15"]);
    let types = tags("hardware_memory", "type");
    assert!(types.ends_with(&["MemUsed", "MemRealFree", "MemUsedPct"].map(str::to_owned)));
}

#[test]
fn the_shipped_configurations_are_understood() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/conf.d");
    let installed = Installed::new();
    for (name, _) in wigo::builtin::PROBES {
        installed.link(name, name);
        let text = fs::read_to_string(shipped.join(format!("{name}.conf"))).unwrap();
        assert!(text.contains("\"enabled\": true"), "{name}");
        // Files are written by the check of read-only file systems; keep it in our folder.
        let text = text.replace("/.wigo_fs_check", installed.path("check").to_str().unwrap());
        installed.configure(name, &text);
        let (value, code) = installed.run(name);
        assert_eq!(code, 0, "{value}");
        assert_ne!(value["Status"], 500, "{value}");
    }
}

#[test]
fn a_disabled_probe_exits_with_12() {
    let installed = Installed::new();
    for (name, _) in wigo::builtin::PROBES {
        installed.link(name, name);
        installed.configure(name, "{ # not here\n \"enabled\": false }");
        let (value, code) = installed.run(name);
        assert_eq!((code, &value["Status"]), (12, &Value::from(100)), "{name}");
        assert!(message(&value).contains("disabled"), "{value}");
    }
}

#[test]
fn a_broken_configuration_is_an_error_that_names_file_and_line() {
    let installed = Installed::new();
    installed.link("hardware_memory", "hardware_memory");
    installed.configure("hardware_memory", "{\n  \"warnLevel\": 70\n  \"critLevel\": 80\n}");
    let (value, code) = installed.run("hardware_memory");
    assert_eq!((code, &value["Status"], &value["Value"]), (0, &500.into(), &"ERROR".into()));
    assert!(message(&value).contains("hardware_memory.conf"), "{value}");
    assert!(message(&value).contains("line 3"), "{value}");

    installed.link("hardware_disks", "hardware_disks");
    installed.configure("hardware_disks", "{ \"excludedPartitions\": [\n \"[\" ] }");
    let (value, code) = installed.run("hardware_disks");
    assert_eq!((code, &value["Status"]), (0, &500.into()));
    assert!(message(&value).contains("line 2"), "{value}");
}

#[test]
fn another_name_has_its_own_configuration() {
    let installed = Installed::new();
    installed.link("memory_strict", "hardware_memory");
    installed.link("hardware_memory", "hardware_memory");
    installed.configure("memory_strict", "{ \"warnLevel\": 0, \"critLevel\": 1000 }");
    installed.configure("hardware_memory", "{ \"warnLevel\": 1000, \"critLevel\": 1000 }");
    assert_eq!(installed.run("memory_strict").0["Status"], 200);
    assert_eq!(installed.run("hardware_memory").0["Status"], 100);
}

#[test]
fn rates_come_with_the_second_run() {
    let installed = Installed::new();
    installed.link("traffic", "ifstat");
    installed.configure("traffic", "{ \"match\": [\"lo\"], \"fields\": null }");
    let (first, _) = installed.run("traffic");
    assert_eq!(first["Metrics"].as_array().unwrap().len(), 0);
    assert!(installed.path("state/traffic.json").is_file());
    let (second, _) = installed.run("traffic");
    let lo = fs::read_to_string("/proc/net/dev").unwrap().contains("lo:");
    assert_eq!(second["Metrics"].as_array().unwrap().len(), if lo { 16 } else { 0 }, "{second}");
}

#[test]
fn without_a_folder_from_the_agent_state_goes_to_a_private_one() {
    let installed = Installed::new();
    installed.link("ifstat", "ifstat");
    let run = || {
        Command::new(installed.path("60/ifstat"))
            .env_clear()
            .env("WIGO_PROBE_CONFIG_ROOT", installed.path("conf.d"))
            .env("XDG_RUNTIME_DIR", installed.path("state"))
            .output()
            .unwrap()
    };
    run();
    let folders: Vec<_> = fs::read_dir(installed.path("state")).unwrap().collect();
    let folder = folders[0].as_ref().unwrap().path();
    assert!(folder.join("ifstat.json").is_file());

    fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let value = json(&run());
    assert_eq!(value["Status"], 500);
    assert!(message(&value).contains("others may use it"), "{value}");
}

#[test]
fn processes_are_found_by_their_command_line() {
    let installed = Installed::new();
    installed.link("check_process", "check_process");
    let me = std::env::args().next().unwrap();
    let me = Path::new(&me).file_name().unwrap().to_str().unwrap().to_owned();
    installed
        .configure("check_process", &format!("{{ \"processList\": [\"{me}\", \"no-such-[x]\"] }}"));
    let (value, code) = installed.run("check_process");
    assert_eq!((code, &value["Status"]), (0, &301.into()), "{value}");
    assert_eq!(value["Detail"]["running"][0], me.as_str());
    assert_eq!(value["Detail"]["not_running"][0], "no-such-[x]");
}

#[test]
fn a_file_system_is_checked_by_writing_to_it() {
    let installed = Installed::new();
    installed.link("fs", "check_readonly_filesystem");
    let good = installed.path("good");
    let good = good.to_str().unwrap();
    installed.configure("fs", &format!("{{ \"files\": [\"{good}\"] }}"));
    assert_eq!(installed.run("fs").0["Status"], 100);
    installed.configure("fs", &format!("{{ \"files\": [\"{good}\", \"/proc/wigo\"] }}"));
    let (value, code) = installed.run("fs");
    assert_eq!((code, &value["Status"]), (0, &300.into()));
    assert_eq!(value["Detail"][good], "OK");
    installed.configure("fs", "{ \"files\": [] }");
    assert_eq!(installed.run("fs").1, 13);
}

#[test]
fn the_executable_by_its_own_name_lists_and_runs() {
    let run = |arguments: &[&str]| Command::new(EXECUTABLE).args(arguments).output().unwrap();
    let list = String::from_utf8(run(&["--list"]).stdout).unwrap();
    assert_eq!(list.lines().count(), wigo::builtin::PROBES.len());
    assert!(list.contains("hardware_disks\n"));
    assert_eq!(json(&run(&["check_uptime"]))["Version"], env!("CARGO_PKG_VERSION"));
    assert!(run(&["--version"]).stdout.starts_with(b"wigo-probe "));
    assert!(run(&["--help"]).status.success());
    let unknown = run(&["no_such_probe"]);
    assert_eq!((unknown.status.code(), unknown.stdout.len()), (Some(64), 0));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("no_such_probe"));
}

#[test]
fn the_examples_are_links_to_the_executable() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("probes/examples");
    for (name, _) in wigo::builtin::PROBES {
        assert_eq!(fs::read_link(examples.join(name)).unwrap(), Path::new("wigo-probe"), "{name}");
    }
}

#[test]
fn the_examples_to_copy_answer_as_they_teach() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("probes/examples");
    let installed = Installed::new();
    for name in ["example_python", "example_perl"] {
        let interpreter = name.strip_prefix("example_").unwrap().replace("python", "python3");
        if Command::new(&interpreter).arg("-V").output().is_err() {
            continue;
        }
        let output = Command::new(examples.join(name))
            .env("WIGO_PROBE_CONFIG_ROOT", installed.path("conf.d"))
            .env("WIGO_PROBE_STATE", installed.path("state"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
        let status = json(&output)["Status"].as_i64().unwrap();
        assert!((100..500).contains(&status), "{name}: {status}");
    }
    let output = Command::new(examples.join("example_sh")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(matches!(output.status.code(), Some(0..=2)), "{text}");
    assert!(text.contains(" | files="), "{text}");
}
