//! The list of cameras: matches new cameras with old ones, and reorders their sections.

use super::{
    CAMERA, Draft, Json, Node, Splices, TableOrigin, TomlError, assignment, changed,
    not_understood, object, refused, set,
    text::{in_lines, line_end, line_start},
};
use crate::{
    config::{Camera, Config, place, secret, toml},
    limits,
};
use serde_json::Map;
use std::ops::Range;

/// A section of the new text.
enum Section {
    Old(usize),
    New(Vec<String>),
}

impl Draft {
    /// Sets the list of cameras; must be the first edit of a draft.
    pub(super) fn set_cameras(&mut self, list: &Json) -> Result<(), TomlError> {
        let list = list.as_array().ok_or_else(|| refused(CAMERA, "expected a list"))?;
        if list.len() > limits::CAMERAS_MAX {
            let most = limits::CAMERAS_MAX;
            return Err(refused(CAMERA, format!("more than {most} cameras")));
        }
        let shown = self.shown.get(CAMERA).and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        let known = Config::of(&self.root)?;
        let (mut sections, mut changes, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
        let places = places(list, shown);
        // The folder of each camera: without a `folder` it stays where it is, unless it is renamed.
        let folder = |(camera, place): (&Json, &Option<usize>)| {
            let known = || shown.get((*place)?).filter(|old| old.get("name") == camera.get("name"));
            camera.get(FOLDER).or_else(|| known()?.get(FOLDER)).cloned()
        };
        let wanted_folders: Vec<_> = list.iter().zip(&places).map(folder).collect();
        let wanted_folders = wanted_folders.into_iter().enumerate().map(|(index, folder)| {
            let place = if index == 0 { Place::First } else { Place::Further };
            (place, folder)
        });
        for ((camera, place), folder) in list.iter().zip(places).zip(wanted_folders) {
            let camera = object(camera, CAMERA)?;
            let Some(index) = place else {
                let keys = new_keys(&unmasked(camera, &[])?, folder.0)?;
                sections.push(Section::New(new_section(&keys)?));
                wanted.push(Json::Object(keys));
                changes.push(Map::new());
                continue;
            };
            let stored = known.camera.get(index).map(Camera::addresses).unwrap_or_default();
            let node = written(&self.root).get(index);
            let mut change = changed(&unmasked(camera, &stored)?, shown.get(index), node);
            keep_folder(camera, folder, node, &mut change);
            let mut whole = node.map_or(Json::Null, Node::to_json);
            if let Json::Object(whole) = &mut whole {
                whole.extend(change.clone());
            }
            sections.push(Section::Old(index));
            wanted.push(whole);
            changes.push(change);
        }
        self.text = in_order(&self.text, &self.root, &sections)?;
        self.root = toml::parse(&self.text).map_err(|_| not_understood())?;
        for (change, node) in changes.iter().zip(written(&self.root)) {
            set(&self.text, &mut self.splices, node, CAMERA, change)?;
        }
        if let Json::Object(all) = &mut self.wanted {
            // Without any section there is no list.
            if !wanted.is_empty() || self.root.get(CAMERA).is_some() {
                all.insert(CAMERA.to_owned(), Json::Array(wanted));
            } else {
                all.remove(CAMERA);
            }
        }
        Ok(())
    }
}

/// Adds the camera's name to an error if there are several cameras.
pub(super) fn named(wrong: TomlError, root: &Node) -> TomlError {
    let cameras = written(root);
    let at = wrong.at.unwrap_or_default();
    let camera = cameras.iter().find(|camera| camera.span.contains(&at));
    match camera.and_then(|camera| camera.get("name")).map(|name| &name.value) {
        Some(toml::TomlValue::Text(name)) if cameras.len() > 1 && wrong.key != "camera.name" => {
            TomlError { message: format!("{} (camera {name})", wrong.message), ..wrong }
        }
        _ => wrong,
    }
}

/// The camera sections of a file.
fn written(root: &Node) -> &[Node] {
    match root.get(CAMERA).map(|node| &node.value) {
        Some(toml::TomlValue::List(list)) => list,
        _ => &[],
    }
}

/// Maps each new camera to the index of the old one: same name, or else a unique match by URL (a
/// rename).
fn places(new: &[Json], shown: &[Json]) -> Vec<Option<usize>> {
    let of_name = |camera: &Json| {
        let name = camera.get("name")?;
        shown.iter().position(|old| old.get("name") == Some(name))
    };
    let mut places: Vec<_> = new.iter().map(of_name).collect();
    for (index, camera) in new.iter().enumerate() {
        let url = camera.get("url").and_then(Json::as_str).map(secret::mask);
        let is_free = |(old, camera): &(usize, &Json)| {
            let old_url = camera.get("url").and_then(Json::as_str);
            url.is_some() && old_url == url.as_deref() && !places.contains(&Some(*old))
        };
        let mut same = shown.iter().enumerate().filter(is_free).map(|(old, _)| old);
        let only = same.next().filter(|_| same.next().is_none());
        if let Some(place @ None) = places.get_mut(index) {
            *place = only;
        }
    }
    places
}

fn unmasked(camera: &Map<String, Json>, stored: &[&str]) -> Result<Map<String, Json>, TomlError> {
    let mut camera = camera.clone();
    for key in ["url", "live_url", "snapshot"] {
        let Some(Json::String(url)) = camera.get_mut(key) else { continue };
        *url = secret::unmask(url, stored)
            .map_err(|unknown| refused(&["camera.", key].concat(), unknown.to_string()))?;
    }
    Ok(camera)
}

/// A camera's position in the list, which decides its default folder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    First,
    Further,
}

impl Place {
    fn is_default(self, folder: &Json, name: Option<&Json>) -> bool {
        match self {
            Place::First => folder.as_str() == Some(place::PATH_ITSELF),
            Place::Further => Some(folder) == name,
        }
    }
}

/// Keeps a camera in its folder even if that was a default.
fn keep_folder(
    camera: &Map<String, Json>,
    (place, folder): (Place, Option<Json>),
    node: Option<&Node>,
    change: &mut Map<String, Json>,
) {
    let is_written = node.is_some_and(|node| node.get(FOLDER).is_some());
    if let (Some(folder), false) = (folder, is_written) {
        match place.is_default(&folder, camera.get("name")) {
            true => change.remove(FOLDER),
            false => change.insert(FOLDER.to_owned(), folder),
        };
    }
}

/// Returns the keys of a new camera that must be written: those without a default value.
fn new_keys(camera: &Map<String, Json>, place: Place) -> Result<Map<String, Json>, TomlError> {
    let example = Draft::new("[[camera]]\nname = \"a\"\nurl = \"rtsp://a/\"")?.shown;
    let default = example.get(CAMERA).and_then(|list| list.get(0));
    let is_needed = |key: &str| matches!(key, "name" | "url");
    let is_default = |key: &str, value: &Json| match key {
        // The first camera's folder is always written, since another may come before it.
        FOLDER => place == Place::Further && place.is_default(value, camera.get("name")),
        _ => default.and_then(|default| default.get(key)) == Some(value),
    };
    let keys = camera.iter().filter(|(key, value)| is_needed(key) || !is_default(key, value));
    Ok(keys.map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn new_section(keys: &Map<String, Json>) -> Result<Vec<String>, TomlError> {
    let mut keys: Vec<_> = keys.iter().collect();
    // Name and URL first.
    keys.sort_by_key(|(key, _)| (*key != "name", *key != "url"));
    let mut lines = vec!["[[camera]]".to_owned()];
    for (key, value) in keys {
        lines.push(assignment(CAMERA, key, value)?);
    }
    Ok(lines)
}

/// Returns the text with these camera sections, each in the place of an old one and the rest after
/// them.
fn in_order(text: &str, root: &Node, sections: &[Section]) -> Result<String, TomlError> {
    let old = |section: &Section| match section {
        Section::Old(index) => Some(*index),
        Section::New(_) => None,
    };
    let written = written(root);
    let kept: Vec<_> = sections.iter().map_while(old).collect();
    let (is_none_new, is_none_gone) = (kept.len() == sections.len(), kept.len() == written.len());
    // Then sections stay in place; otherwise the places are filled in the new order.
    let is_in_order = kept.is_sorted_by(|one, next| one < next) && (is_none_new || is_none_gone);
    if is_in_order && is_none_new && is_none_gone {
        return Ok(text.to_owned());
    }
    if !written.iter().all(|camera| camera.is(TableOrigin::Header)) {
        let message = "is not written as [[camera]] sections: edit it by hand";
        return Err(refused(CAMERA, message));
    }
    let blocks: Vec<_> = written.iter().map(|camera| block(text, root, camera)).collect();
    let block_text = |index: usize| blocks.get(index).and_then(|block| text.get(block.clone()));
    let mut splices = Splices::default();
    let mut rest = sections.iter();
    for (index, block) in blocks.iter().enumerate() {
        let section = if is_in_order && !kept.contains(&index) { None } else { rest.next() };
        match section {
            Some(Section::Old(same)) if *same == index => {}
            Some(Section::Old(other)) => {
                let other = block_text(*other).ok_or_else(not_understood)?;
                splices.replace(block.clone(), in_lines(text, &[other.trim_end().to_owned()]));
            }
            Some(Section::New(lines)) => splices.replace(block.clone(), in_lines(text, lines)),
            None => {
                let after = text.get(block.end..).unwrap_or_default();
                let blank = after.len() - after.trim_start_matches(['\r', '\n']).len();
                splices.replace(block.start..block.end + blank, String::new());
            }
        }
    }
    let end = blocks.last().map_or(text.len(), |last| last.end);
    for section in rest {
        match section {
            Section::New(lines) => splices.insert_paragraph(text, end, lines),
            Section::Old(index) => {
                let block = block_text(*index).ok_or_else(not_understood)?;
                splices.insert_paragraph(text, end, &[block.trim_end().to_owned()]);
            }
        }
    }
    splices.apply(text).ok_or_else(not_understood)
}

/// The lines of a section with adjacent comments: above its header, and below its last key unless
/// they also touch what follows.
fn block(text: &str, root: &Node, camera: &Node) -> Range<usize> {
    let is_comment = |from: usize| {
        text.get(from..).unwrap_or_default().trim_start_matches([' ', '\t']).starts_with('#')
    };
    let others = root.entries().iter().flat_map(|entry| match &entry.node.value {
        toml::TomlValue::List(list) if list.iter().all(|node| node.is(TableOrigin::Header)) => list,
        _ => std::slice::from_ref(&entry.node),
    });
    let before = others.map(|node| node.span.end).filter(|end| *end <= camera.span.start).max();
    let floor = before.map_or(0, |end| line_end(text, end));
    let mut start = line_start(text, camera.span.start);
    while start > floor && is_comment(line_start(text, start - 1)) {
        start = line_start(text, start - 1);
    }
    let end = line_end(text, camera.span.end);
    let mut comments = end;
    while comments < text.len() && is_comment(comments) {
        comments = line_end(text, comments);
    }
    let after = text.get(comments..).unwrap_or_default();
    let is_alone = after.is_empty() || after.starts_with('\n') || after.starts_with("\r\n");
    start..if is_alone { comments } else { end }
}

const FOLDER: &str = "folder";
