//! `/openapi.json`: the whole hub's, made of the route tables natively and checked in. The test `openapi` fails when it
//! is not what the tables say.

use domain::Result;
use miniz_oxide::{
    DataFormat, MZFlush,
    inflate::stream::{InflateState, inflate},
};
use web::{Hub, InPieces, Pieces};

const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json.deflate"));
/// How much of the document a request holds at a time, in bytes.
const PIECE: usize = 32 * 1024;

pub async fn show(_: Hub) -> Result<InPieces> {
    Ok(InPieces(pieces))
}

/// The document, unpacked while it goes out: anybody can ask for it, as often and as many at once as they like.
fn pieces() -> Pieces {
    let (mut state, mut packed) = (InflateState::new_boxed(DataFormat::Raw), PACKED);
    Box::new(std::iter::from_fn(move || {
        let mut piece = vec![0; PIECE];
        let unpacked = inflate(&mut state, packed, &mut piece, MZFlush::None);
        packed = &packed[unpacked.bytes_consumed..];
        piece.truncate(unpacked.bytes_written);
        (!piece.is_empty()).then_some(piece)
    }))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_pieces_are_the_document() {
        let pieces = super::pieces().flatten().collect::<Vec<u8>>();
        let whole = miniz_oxide::inflate::decompress_to_vec(super::PACKED).unwrap();
        assert!(pieces == whole);
    }
}
