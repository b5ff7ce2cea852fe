//! `corpus unpack FOLDER` writes what each target learned into `FOLDER/NAME`; `corpus pack FOLDER`
//! keeps it.

use fuzz::{
    TARGETS,
    corpus::{Corpus, pack},
};
use std::{env, io, path::Path};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [command, folder] = arguments.as_slice() else {
        return Err(io::Error::other("usage: corpus unpack|pack FOLDER"));
    };
    for target in TARGETS {
        let folder = Path::new(folder).join(target.name);
        match command.as_str() {
            "pack" => pack(target.name, &folder)?,
            _ => Corpus::read(target.name)?.unpack_into(&folder)?,
        }
    }
    Ok(())
}
