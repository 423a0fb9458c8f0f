//! RSASSA-PKCS1-v1_5 (RFC 8017, 8.2.2), verification only: one power of a public number.
//!
//! By hand, because the crate for it is three times the size of everything else that verifying an ID token takes, and the
//! components that verify have no room for it. Nothing here is secret, so nothing needs to be done in constant time; what
//! counts is that the whole padded message is computed and compared, not parsed. The tests compare it with that crate.

use std::ops::RangeInclusive;

/// How a message was hashed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// The last number of its object identifier, and its length in bytes.
    const fn numbers(self) -> (u8, u8) {
        match self {
            Self::Sha256 => (1, 32),
            Self::Sha384 => (2, 48),
            Self::Sha512 => (3, 64),
        }
    }

    /// The beginning of the DigestInfo of such a hash, in DER.
    const fn info(self) -> [u8; 19] {
        let (number, size) = self.numbers();
        [
            0x30,
            0x11 + size,
            0x30,
            0x0d,
            0x06,
            0x09,
            0x60,
            0x86,
            0x48,
            0x01,
            0x65,
            0x03,
            0x04,
            0x02,
            number,
            0x05,
            0x00,
            0x04,
            size,
        ]
    }
}

/// A public key: both numbers big-endian.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    /// The modulus.
    pub n: &'a [u8],
    /// The exponent.
    pub e: &'a [u8],
}

/// Whether the signature is that of a message with this digest, under a key whose modulus has so many bytes.
pub fn verifies(key: Key<'_>, sizes: RangeInclusive<usize>, hash: Hash, digest: &[u8], signature: &[u8]) -> bool {
    let n = key.n.strip_prefix(&[0]).unwrap_or(key.n);
    let Some(e) = exponent(key.e) else { return false };
    let is_a_modulus = sizes.contains(&n.len()) && n.len().is_multiple_of(4) && n[0] >= 0x80 && n[n.len() - 1] & 1 == 1;
    let is_a_digest = digest.len() == usize::from(hash.numbers().1);
    // The padding has eight bytes at least.
    if !is_a_modulus || !is_a_digest || n.len() < digest.len() + 30 || signature.len() != n.len() || signature >= n {
        return false;
    }
    let (mut expected, info) = (vec![0xff; n.len()], hash.info());
    let begin = n.len() - info.len() - digest.len();
    expected[..2].copy_from_slice(&[0, 1]);
    expected[begin - 1] = 0;
    expected[begin..begin + info.len()].copy_from_slice(&info);
    expected[begin + info.len()..].copy_from_slice(digest);
    power(signature, e, n) == expected
}

/// Odd, at least 3 and of no more than 32 bits: 65537, for every key one meets.
fn exponent(e: &[u8]) -> Option<u32> {
    let bytes = e.iter().copied().skip_while(|byte| *byte == 0);
    if bytes.clone().count() > 4 {
        return None;
    }
    let e = bytes.fold(0, |e, byte| e << 8 | u32::from(byte));
    (e >= 3 && e & 1 == 1).then_some(e)
}

/// `base` to the power of `e`, modulo the odd `n`, by Montgomery's multiplication. All are as long as `n`, and `base < n`.
fn power(base: &[u8], e: u32, n: &[u8]) -> Vec<u8> {
    let (n, base) = (limbs(n), limbs(base));
    // The inverse of -n modulo 2^32, by Newton: each round doubles the bits that are right.
    let inverse =
        (0..5).fold(1u32, |inverse, _| inverse.wrapping_mul(2u32.wrapping_sub(n[0].wrapping_mul(inverse)))).wrapping_neg();
    // R^2 modulo n, where R is 2 to the number of bits: 1, doubled that many times twice.
    let mut square = vec![0; n.len()];
    square[0] = 1;
    for _ in 0..64 * n.len() {
        double(&mut square, &n);
    }
    let base = multiply(&base, &square, &n, inverse);
    let mut result = base.clone();
    for bit in (0..31 - e.leading_zeros()).rev() {
        result = multiply(&result, &result, &n, inverse);
        if e >> bit & 1 == 1 {
            result = multiply(&result, &base, &n, inverse);
        }
    }
    let mut one = vec![0; n.len()];
    one[0] = 1;
    multiply(&result, &one, &n, inverse).iter().rev().flat_map(|limb| limb.to_be_bytes()).collect()
}

/// From bytes, whose number is a multiple of four, the least significant limb first.
fn limbs(bytes: &[u8]) -> Vec<u32> {
    bytes.rchunks(4).map(|chunk| chunk.iter().fold(0, |limb, byte| limb << 8 | u32::from(*byte))).collect()
}

/// `x + x` modulo `n`.
fn double(x: &mut [u32], n: &[u32]) {
    let mut carry = 0;
    for limb in x.iter_mut() {
        (*limb, carry) = (*limb << 1 | carry, *limb >> 31);
    }
    if carry == 1 || !less(x, n) {
        subtract(x, n);
    }
}

fn less(x: &[u32], n: &[u32]) -> bool {
    x.iter().rev().lt(n.iter().rev())
}

fn subtract(x: &mut [u32], n: &[u32]) {
    let mut borrow = 0;
    for (limb, other) in x.iter_mut().zip(n) {
        let difference = i64::from(*limb) - i64::from(*other) - borrow;
        (*limb, borrow) = (difference as u32, i64::from(difference < 0));
    }
}

/// `a * b / R` modulo `n` (Koç, Acar and Kaliski's "coarsely integrated operand scanning").
fn multiply(a: &[u32], b: &[u32], n: &[u32], inverse: u32) -> Vec<u32> {
    let size = n.len();
    let mut sum = vec![0u32; size + 2];
    for &digit in b {
        add_product(&mut sum, a, digit);
        let multiple = sum[0].wrapping_mul(inverse);
        add_product(&mut sum, n, multiple);
        // The lowest limb is zero now.
        sum.copy_within(1.., 0);
        sum[size + 1] = 0;
    }
    let over = sum[size] == 1;
    sum.truncate(size);
    if over || !less(&sum, n) {
        subtract(&mut sum, n);
    }
    sum
}

/// `sum += x * digit`
fn add_product(sum: &mut [u32], x: &[u32], digit: u32) {
    let mut carry = 0u64;
    for (place, limb) in sum.iter_mut().enumerate() {
        let product = x.get(place).map_or(0, |x| u64::from(*x) * u64::from(digit));
        let total = u64::from(*limb) + product + carry;
        (*limb, carry) = (total as u32, total >> 32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rsa::{
        BigUint, RsaPrivateKey,
        pkcs1v15::SigningKey,
        pkcs8::DecodePrivateKey,
        sha2::{Digest, Sha256, Sha384, Sha512},
        signature::{SignatureEncoding, Signer},
        traits::PublicKeyParts,
    };

    /// 2048 to 4096 bits.
    const SIZES: RangeInclusive<usize> = 256..=512;

    /// By SHA-256.
    fn verifies(n: &[u8], e: &[u8], digest: &[u8], signature: &[u8]) -> bool {
        super::verifies(Key { n, e }, SIZES, Hash::Sha256, digest, signature)
    }

    fn keys() -> Vec<RsaPrivateKey> {
        [include_str!("../../../tests/data/rsa_2048.pem"), include_str!("../../../tests/data/rsa_3072.pem")]
            .map(|pem| RsaPrivateKey::from_pkcs8_pem(pem).unwrap())
            .into()
    }

    #[test]
    fn what_the_crate_signs_verifies_and_nothing_else() {
        for key in keys() {
            let (n, e) = (key.n().to_bytes_be(), key.e().to_bytes_be());
            let signing = SigningKey::<Sha256>::new(key.clone());
            for message in [&b""[..], b"x", &[7; 1000]] {
                let signature = signing.sign(message).to_vec();
                let hash: [u8; 32] = Sha256::digest(message).into();
                assert!(verifies(&n, &e, &hash, &signature));
                assert!(verifies(&[&[0], &n[..]].concat(), &[&[0, 0], &e[..]].concat(), &hash, &signature));
                for place in [0, 1, signature.len() / 2, signature.len() - 1] {
                    let mut other = signature.clone();
                    other[place] ^= 1;
                    assert!(!verifies(&n, &e, &hash, &other));
                }
                let other: [u8; 32] = Sha256::digest([message, b"!"].concat()).into();
                assert!(!verifies(&n, &e, &other, &signature));
                assert!(!verifies(&n, &[3], &hash, &signature));
                assert!(!verifies(&n, &e, &hash, &signature[1..]));
                assert!(!verifies(&n, &e, &hash, &n));
                // The same number modulo n in another spelling.
                let beyond = (BigUint::from_bytes_be(&signature) + key.n()).to_bytes_be();
                assert!(!verifies(&n, &e, &hash, &beyond));
            }
        }
    }

    #[test]
    fn a_signature_is_of_one_hash() {
        let key = keys().remove(0);
        let (n, e) = (key.n().to_bytes_be(), key.e().to_bytes_be());
        let is = |hash, digest: &[u8], signature: &[u8]| super::verifies(Key { n: &n, e: &e }, SIZES, hash, digest, signature);
        let (longer, longest) = (Sha384::digest(b"x"), Sha512::digest(b"x"));
        let signature = SigningKey::<Sha384>::new(key.clone()).sign(b"x").to_vec();
        assert!(is(Hash::Sha384, &longer, &signature) && !is(Hash::Sha512, &longest, &signature));
        assert!(!is(Hash::Sha256, &longer, &signature) && !is(Hash::Sha256, &longer[..32], &signature));
        let signature = SigningKey::<Sha512>::new(key.clone()).sign(b"x").to_vec();
        assert!(is(Hash::Sha512, &longest, &signature) && !is(Hash::Sha384, &longer, &signature));
    }

    #[test]
    fn keys_out_of_bounds_verify_nothing() {
        let hash = [0; 32];
        for n in [vec![], vec![0xff; 255], vec![0xff; 513], [vec![0x7f], vec![0xff; 255]].concat(), vec![0xfe; 256]] {
            assert!(!verifies(&n, &[1, 0, 1], &hash, &vec![1; n.len()]));
        }
        for e in [&[][..], &[0], &[1], &[2], &[1, 0, 0], &[1, 0, 0, 0, 1]] {
            assert_eq!(exponent(e), None, "{e:?}");
        }
        assert_eq!((exponent(&[1, 0, 1]), exponent(&[0, 0, 0, 0, 3])), (Some(65537), Some(3)));
    }

    proptest! {
        #[test]
        fn powers_are_those_of_another_implementation(n in proptest::collection::vec(any::<u8>(), 256), base in proptest::collection::vec(any::<u8>(), 256), e in 3u32..100_000) {
            let mut n = n;
            n[0] |= 0x80;
            n[255] |= 1;
            let mut base = base;
            base[0] &= 0x7f;
            let expected = BigUint::from_bytes_be(&base).modpow(&BigUint::from(e), &BigUint::from_bytes_be(&n));
            prop_assert_eq!(BigUint::from_bytes_be(&power(&base, e, &n)), expected);
        }
    }
}
