//! XML, as far as vCenters speak it.

use crate::peer::Wrong;
use roxmltree::{Document, Node, ParsingOptions};

/// Elements nest this deep at most in what is read. What vCenters answer nests a dozen deep.
const DEPTH: usize = 64;
/// So many nodes are read at most.
const NODES: u32 = 200_000;

/// An element of an answer, without its namespaces.
#[derive(Debug, Default)]
pub struct Element {
    /// Its name.
    pub name: String,
    /// What its attribute `type` says, or `xsi:type` without the prefix.
    pub kind: String,
    /// The text in it, not in those below.
    pub text: String,
    /// The elements in it.
    pub children: Vec<Element>,
}

impl Element {
    /// The first element of this name in it.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All elements of this name in it.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of the first element of this name in it; empty when there is none.
    pub fn text_of(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| child.text.as_str())
    }
}

/// Reads an answer.
pub fn read(text: &[u8]) -> Result<Element, Wrong> {
    let garbled = |what: &str| Wrong::Broken(format!("The vCenter's answer cannot be read: {what}."));
    let text = std::str::from_utf8(text).map_err(|_| garbled("it is not text"))?;
    let options = ParsingOptions { allow_dtd: false, nodes_limit: NODES, ..ParsingOptions::default() };
    // The parser keeps its nodes in a list and nests no calls; `element` nests one a level.
    let document = Document::parse_with_options(text, options).map_err(|_| garbled("it is not XML"))?;
    if depth(&document) > DEPTH {
        return Err(garbled("it nests too deep"));
    }
    Ok(element(document.root_element()))
}

/// How deep the elements of a document nest. Parents come before their children, so each node is looked at once.
fn depth(document: &Document<'_>) -> usize {
    let (mut depths, mut most) = (Vec::new(), 0);
    for node in document.descendants() {
        let above = node.parent().and_then(|parent| depths.get(parent.id().get_usize())).copied().unwrap_or(0);
        let depth = above + usize::from(node.is_element());
        most = most.max(depth);
        depths.push(depth);
    }
    most
}

fn element(node: Node<'_, '_>) -> Element {
    // A reference has both: `type` says to what, and `xsi:type` only that it is one.
    let kinds = || node.attributes().filter(|attribute| attribute.name() == "type");
    let kind = kinds().find(|attribute| attribute.namespace().is_none()).or_else(|| kinds().next());
    let kind = kind.map_or("", |attribute| attribute.value());
    Element {
        name: node.tag_name().name().to_owned(),
        kind: kind.rsplit(':').next().unwrap_or_default().to_owned(),
        text: node.children().filter(Node::is_text).filter_map(|text| text.text()).collect(),
        children: node.children().filter(Node::is_element).map(element).collect(),
    }
}

/// A text as it stands in an element or an attribute. What XML has no place for is left out.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\t' | '\n' | '\r' => escaped.push(character),
            control if control.is_control() || matches!(control, '\u{fffe}' | '\u{ffff}') => {}
            other => escaped.push(other),
        }
    }
    escaped
}

/// An element with a text in it.
pub fn tag(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        for text in ["", "a", "<b>&amp;</b>", "\"it's\" & more", "ünï\u{1f600}", "]]>"] {
            let read = read(tag("a", text).as_bytes()).unwrap();
            assert_eq!((read.name.as_str(), read.text.as_str()), ("a", text));
        }
        assert_eq!(tag("a", "b\u{0}\u{1b}c"), "<a>bc</a>");
    }

    #[test]
    fn namespaces_and_prefixes_are_left_out() {
        let text = r#"<?xml version="1.0"?><s:a xmlns:s="urn:s" xmlns:xsi="urn:i" xmlns="urn:v"><b xsi:type="xsd:string">1</b><b xsi:type="Reference" type="Folder">2</b></s:a>"#;
        let read = read(text.as_bytes()).unwrap();
        let found: Vec<(&str, &str)> = read.all("b").map(|b| (b.kind.as_str(), b.text.as_str())).collect();
        assert_eq!((read.name.as_str(), found), ("a", vec![("string", "1"), ("Folder", "2")]));
    }

    #[test]
    fn garbage_is_refused() {
        let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
        // A tag that seems to end itself, and brackets in quotes, comments and CDATA.
        let disguised = |tag: &str| format!("{}{}", tag.repeat(60_000), "</a>".repeat(60_000));
        let [quoted, single, half] = ["<a b=\"/>\">", "<a b='/>' c=\">\">", "<a b='x/'\n>"].map(disguised);
        let hidden = format!("<a>{}</a>", "<a><!--</a></a>--><![CDATA[</a>]]>".repeat(50_000) + &"</a>".repeat(50_000));
        let bomb = r#"<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>"#;
        for wrong in ["", "{}", "<a>", "<a></b>", "<a>&nothing;</a>", deep.as_str(), &quoted, &single, &half, &hidden, bomb] {
            assert!(read(wrong.as_bytes()).is_err(), "{:.40}", wrong);
        }
        assert!(read(&[b'<', 0xff]).is_err());
    }

    #[test]
    fn depth_is_bounded_and_breadth_is_not() {
        let nested = |levels: usize| format!("{}{}", "<a b=\"/>\">".repeat(levels), "</a>".repeat(levels));
        assert!(read(nested(DEPTH).as_bytes()).is_ok());
        assert!(read(nested(DEPTH + 1).as_bytes()).is_err());
        let broad = format!("<a>{}</a>", "<b c=\"<\">1</b>".replace("\"<\"", "\"&lt;/\"").repeat(10_000));
        assert_eq!(read(broad.as_bytes()).unwrap().children.len(), 10_000);
    }
}
