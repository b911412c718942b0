//! What a start finds: nothing, its records, another process, damage.

use crate::kept::{Kept, kill, listing, refused, stop, time_of};
use crate::servers::Plan;
use crate::talk::{Talk, eventually};

#[test]
fn a_server_finds_its_records_again() {
    let kept = Kept::new("");
    let server = kept.start();
    Talk::to(server.addr).ask("IAMAT kiwi +1+1 5");
    stop(server);
    let server = kept.start();
    assert_eq!(time_of(&mut Talk::to(server.addr), "kiwi"), Some(5));
    eventually("the log tells of it", || kept.log().contains("1 records loaded from "));
}

#[test]
fn a_second_start_of_a_server_touches_nothing() {
    // Once it is answered nothing is left to be written.
    let kept = Kept::new("durability = \"always\"");
    let server = kept.start();
    let mut talk = Talk::to(server.addr);
    talk.ask("IAMAT kiwi +1+1 5");
    let again = kept.write_conf("again.toml", &server.addr.to_string(), "");
    let before = listing(&kept.store());
    let (code, said) = refused(&again);
    assert_eq!(code, Some(3), "{said}");
    assert_eq!(listing(&kept.store()), before);
    assert_eq!(time_of(&mut talk, "kiwi"), Some(5));
}

#[test]
fn a_store_that_another_process_has_open_ends_the_start_untouched() {
    let kept = Kept::new("durability = \"always\"");
    let server = kept.start();
    Talk::to(server.addr).ask("IAMAT kiwi +1+1 5");
    let elsewhere = kept.write_conf("elsewhere.toml", "127.0.0.1:0", "");
    let before = listing(&kept.store());
    let (code, said) = refused(&elsewhere);
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("is open in another process"), "{said}");
    assert_eq!(listing(&kept.store()), before);
    eventually("the log says it too", || kept.log().contains("is open in another process"));
    kill(server);
    kept.start();
}

#[test]
fn a_data_directory_that_is_forbidden_ends_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("data");
    std::fs::write(&file, "no directory").unwrap();
    let kept = Kept::keeping_at(dir, file.clone(), "");
    let (code, said) = refused(&kept.conf());
    assert_eq!(code, Some(4), "{said}");
    assert!(said.contains("[data] dir has to be a directory that this user may write"), "{said}");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "no directory");
}

#[test]
fn a_directory_that_holds_something_else_is_left_alone() {
    let kept = Kept::new("");
    std::fs::create_dir_all(kept.store()).unwrap();
    std::fs::write(kept.store().join("notes.txt"), "mine").unwrap();
    let before = listing(&kept.store());
    let (code, said) = refused(&kept.conf());
    assert_eq!(code, Some(4), "{said}");
    assert_eq!(listing(&kept.store()), before);
}

#[test]
fn a_damaged_store_is_set_aside_and_the_neighbors_fill_a_new_one() {
    let data = tempfile::tempdir().unwrap();
    let conf = format!("[data]\ndir = '{}'\n", data.path().display());
    let mut herd = Plan::new(&[("A", "B")]).conf(&conf).start();
    let at = herd["A"].report("kiwi", "+1+1", "5");
    herd.agree_on("kiwi", |said| said == at);
    assert!(herd.terminate("A").success());
    let spoilt = spoil(&data.path().join("A").join("keyspaces"));
    assert!(spoilt > 0);
    herd.start("A");
    herd["A"].logs(1, &["is damaged", "a new one is made"]);
    herd.agree_on("kiwi", |said| said == at);
    let is_aside = |name: &str| name.starts_with("A.damaged-");
    let names = std::fs::read_dir(data.path()).unwrap();
    let aside: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| is_aside(name))
        .collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
    // The new one is as good as any.
    assert!(herd.terminate("A").success());
    assert!(herd.terminate("B").success());
    herd.start("A");
    assert_eq!(herd["A"].at("kiwi"), Some(at));
}

/// Overwrites every file below.
fn spoil(path: &std::path::Path) -> usize {
    let mut spoilt = 0;
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            spoilt += spoil(&path);
        } else {
            let length = std::fs::metadata(&path).unwrap().len();
            std::fs::write(&path, vec![0x5a; usize::try_from(length).unwrap()]).unwrap();
            spoilt += 1;
        }
    }
    spoilt
}
