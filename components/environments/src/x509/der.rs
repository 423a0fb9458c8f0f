//! DER (X.690), as far as certificates and keys need it: elements within elements. By hand, because the crates that read
//! X.509 are several times the size of what is looked at here.

/// An element.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// Its tag: class, kind and number in one byte.
    pub tag: u8,
    /// What is in it.
    pub content: &'a [u8],
    /// The whole of it, with tag and length.
    pub whole: &'a [u8],
}

/// The tags that are met here.
pub mod tag {
    pub const BOOLEAN: u8 = 0x01;
    pub const INTEGER: u8 = 0x02;
    pub const BIT_STRING: u8 = 0x03;
    pub const OCTET_STRING: u8 = 0x04;
    pub const OID: u8 = 0x06;
    pub const BMP_STRING: u8 = 0x1e;
    pub const UTC_TIME: u8 = 0x17;
    pub const GENERALIZED_TIME: u8 = 0x18;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;
}

/// Elements one after another.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next element; none at the end, and none where there is no element to be read.
    pub fn next(&mut self) -> Option<Element<'a>> {
        let (&[tag, first], rest) = self.0.split_first_chunk::<2>()?;
        // A number beyond 30 takes more bytes; nothing here has one.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let more = usize::from(first & 0x7f);
        let (length, header) = match first {
            0..=0x7f => (usize::from(first), 2),
            // The shortest form is the only one, and nothing that is read here is as long as 16 MB.
            0x81..=0x83 => {
                let bytes = rest.get(..more)?;
                let length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
                let is_shortest = length >= 0x80 && bytes[0] != 0;
                (is_shortest.then_some(length)?, 2 + more)
            }
            _ => return None,
        };
        let whole = self.0.get(..header + length)?;
        self.0 = &self.0[header + length..];
        Some(Element { tag, content: &whole[header..], whole })
    }

    /// The next element, if it has this tag.
    pub fn take(&mut self, tag: u8) -> Option<Element<'a>> {
        if self.0.first() == Some(&tag) { self.next() } else { None }
    }

    /// What is in the next element, which has this tag.
    pub fn content(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.take(tag).map(|element| element.content)
    }

    /// The elements of the sequence that is next.
    pub fn sequence(&mut self) -> Option<Self> {
        self.content(tag::SEQUENCE).map(Self)
    }

    /// The whole number that is next, which is not negative: big-endian, without zeros before it.
    pub fn number(&mut self) -> Option<&'a [u8]> {
        match self.content(tag::INTEGER)? {
            [] => None,
            [0] => Some(&[]),
            [0, rest @ ..] if rest[0] >= 0x80 => Some(rest),
            [first, ..] if *first == 0 || *first >= 0x80 => None,
            bytes => Some(bytes),
        }
    }

    /// The bits that are next, which are whole bytes.
    pub fn bits(&mut self) -> Option<&'a [u8]> {
        self.content(tag::BIT_STRING)?.strip_prefix(&[0])
    }

    /// What kind an AlgorithmIdentifier is of, and what it says of it.
    pub fn algorithm(&mut self) -> Option<(&'a [u8], Self)> {
        let mut algorithm = self.sequence()?;
        Some((algorithm.content(tag::OID)?, algorithm))
    }

    /// Nothing, if nothing is left.
    pub fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// An element, written.
pub fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut whole = vec![tag];
    match content.len() {
        length @ 0..=0x7f => whole.push(length as u8),
        length => {
            let bytes = length.to_be_bytes();
            let first = bytes.iter().position(|byte| *byte != 0).unwrap_or_default();
            whole.push(0x80 | (bytes.len() - first) as u8);
            whole.extend_from_slice(&bytes[first..]);
        }
    }
    whole.extend_from_slice(content);
    whole
}
