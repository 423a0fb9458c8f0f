//! Password hashes by the hundred: each costs a core and 19 MiB, and a stranger asks for them without a token.

use std::io::{Read as _, Write as _};

use crate::child::{HubProcess, PATIENCE};

/// Tries a wrong password from an address of its own; the status.
fn attempt(hub: &HubProcess, number: u8, round: usize) -> u16 {
    let body = format!(r#"{{"email":"person{number}.{round}@example.com","password":"a wrong password"}}"#);
    let mut stream = hub.connect_from([127, 0, 1, number]);
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!(
        "POST /v1/sign-in/password HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

#[test]
fn two_hundred_sign_ins_at_once_stop_nobody() {
    // As many as the machine has cores: the most that anybody should set.
    let hub = HubProcess::start(&["--variable", "password_hashes=2"]);
    let watch = hub.watch();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let attackers: Vec<_> = (1..=200u8)
            .map(|number| {
                let hub = &hub;
                scope.spawn(move || (0..3).map(|round| attempt(hub, number, round)).collect::<Vec<_>>())
            })
            .collect();
        attackers.into_iter().flat_map(|attacker| attacker.join().unwrap()).collect()
    });
    watch.check("200 sign-ins at once");
    let of = |wanted: u16| statuses.iter().filter(|&&status| status == wanted).count();
    println!("{} were judged, {} were told to come back", of(401), of(429));
    assert_eq!(of(401) + of(429), statuses.len(), "{statuses:?}");
    assert!(of(401) >= 30 && of(429) >= 100, "{} judged, {} held back", of(401), of(429));
    assert!(!hub.log().contains("instance ended") && !hub.log().contains("tick failed"), "{}", hub.log());
}
