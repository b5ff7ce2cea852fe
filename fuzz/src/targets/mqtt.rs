//! What an MQTT server sends, up to where it is none.

use crate::source::pieces;
use smolnvr::{
    limits::MQTT_PACKET_BYTES_MAX,
    mqtt::{Client, Error, Login},
    runtime,
};

pub fn mqtt(data: &[u8]) {
    let (mut whole, mut split) = (client(), client());
    let (mut at_once, mut in_pieces) = (Vec::new(), Vec::new());
    let ended = feed(&mut whole, data, &mut at_once);
    let mut ended_in_pieces = Ok(());
    for piece in pieces(data) {
        ended_in_pieces = feed(&mut split, piece, &mut in_pieces);
        if ended_in_pieces.is_err() {
            break;
        }
    }
    assert_eq!((ended, at_once), (ended_in_pieces, in_pieces), "another split, another answer");
    assert_eq!(whole.out, split.out);
    // No answer is longer than what it answers.
    assert!(whole.out.len() <= client().out.len() + data.len());
    assert!(
        whole.is_open() || whole.out == client().out,
        "nothing is sent before the server agrees"
    );
}

fn client() -> Client {
    let login = Login { client_id: "smolnvr", user_and_password: None, will: ("a", "b") };
    Client::new(&login, runtime::now())
}

fn feed(client: &mut Client, bytes: &[u8], events: &mut Vec<String>) -> Result<(), Error> {
    client.handle_bytes(bytes, &mut |event| {
        let text = format!("{event:?}");
        assert!(text.len() <= 8 * MQTT_PACKET_BYTES_MAX);
        events.push(text);
    })
}
