#!/bin/sh
# Makes the certificates and keys of the tests with OpenSSL 3. They are checked in, because a run of this takes a while and
# gives others each time. None of these keys guards anything.
set -eu
cd "$(dirname "$0")"
D=$(mktemp -d)
trap 'rm -rf "$D"' EXIT
FROM=20260101000000Z
TO=20281121120000Z

# key NAME OPTIONS...: a key as PKCS#8
key() { n=$1; shift; openssl genpkey -quiet "$@" -out "$n.key.pem"; }
# ca NAME SUBJECT [ISSUER]: a certificate that may sign others
ca() {
    printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n' >"$D/ext"
    sign "$1" "$2" "${3-}" "$D/ext" "$FROM" 20361121120000Z
}
# leaf NAME ISSUER [FROM TO EXTENSIONS DIGEST]: a certificate of a server; the empty issuer signs itself
leaf() {
    printf 'basicConstraints=CA:FALSE\n%b\n' "${5-subjectAltName=DNS:vcd.example.com,DNS:*.cells.example.com,IP:10.1.2.3\nextendedKeyUsage=serverAuth}" >"$D/ext"
    sign "$1" "/O=Example/CN=vcd.example.com" "$2" "$D/ext" "${3-$FROM}" "${4-$TO}" "${6-sha256}"
}
# sign NAME SUBJECT ISSUER EXTENSIONS FROM TO [DIGEST [OPTIONS]]
sign() {
    openssl req -new -key "$1.key.pem" -subj "$2" -out "$D/csr"
    case "$3" in
        "") by="-selfsign -keyfile $1.key.pem" ;;
        *) by="-cert $3.pem -keyfile $3.key.pem" ;;
    esac
    : >"$D/index"
    # shellcheck disable=SC2086
    openssl ca -batch -config "$D/ca.cnf" -rand_serial -notext -in "$D/csr" $by -extfile "$4" -startdate "$5" -enddate "$6" \
        -md "${7-sha256}" ${8-} -out "$1.pem" 2>"$D/log" || { cat "$D/log"; exit 1; }
}
cat >"$D/ca.cnf" <<END
[ca]
default_ca = it
[it]
database = $D/index
new_certs_dir = $D
serial = $D/serial
unique_subject = no
policy = any
[any]
commonName = supplied
organizationName = optional
END

P256="-algorithm EC -pkeyopt ec_paramgen_curve:P-256"
P384="-algorithm EC -pkeyopt ec_paramgen_curve:P-384"
rsa() { echo "-algorithm RSA -pkeyopt rsa_keygen_bits:$1"; }

key root $P256; ca root "/O=Example/CN=Root"
key issuing $P384; ca issuing "/O=Example/CN=Issuing" root
key rsa_root $(rsa 2048); ca rsa_root "/O=Example/CN=RSA Root"
key ed_root -algorithm ED25519; ca ed_root "/O=Example/CN=Ed Root"
key other $P256; ca other "/O=Example/CN=Root"
key server $P256; leaf server issuing
key renewed $P256; leaf renewed issuing "$FROM" 20290601000000Z
key p384 $P384; leaf p384 issuing "$FROM" "$TO" "subjectAltName=DNS:vcd.example.com" sha384
key rsa $(rsa 2048); leaf rsa rsa_root "$FROM" "$TO" "subjectAltName=DNS:vcd.example.com" sha512
key rsa8192 $(rsa 8192); leaf rsa8192 "" "$FROM" "$TO" "subjectAltName=DNS:vcd.example.com" sha384
key ed25519 -algorithm ED25519; leaf ed25519 ed_root
key self $(rsa 2048); leaf self ""
key expired $P256; leaf expired issuing "$FROM" 20261121115959Z
key early $P256; leaf early issuing 20261121120001Z
key nameless $P256; leaf nameless issuing "$FROM" "$TO" "keyUsage=digitalSignature"
key client $P256; leaf client issuing "$FROM" "$TO" "subjectAltName=DNS:vcd.example.com\nextendedKeyUsage=clientAuth"
key under $P256; leaf under server
key sha1 $(rsa 2048); leaf sha1 rsa_root "$FROM" "$TO" "subjectAltName=DNS:vcd.example.com" sha1
key weak $(rsa 1024); leaf weak issuing
key p521 -algorithm EC -pkeyopt ec_paramgen_curve:P-521; leaf p521 issuing
key pss $(rsa 2048)
printf 'subjectAltName=DNS:vcd.example.com\n' >"$D/ext"
sign pss "/CN=vcd.example.com" rsa_root "$D/ext" "$FROM" "$TO" sha256 "-sigopt rsa_padding_mode:pss"

# The forms in which keys come. The password of those that have one is: correct horse
openssl rsa -in rsa.key.pem -traditional -out rsa.pkcs1.pem 2>/dev/null
openssl ec -in server.key.pem -out server.sec1.pem 2>/dev/null
locked() { n=$1; shift; openssl pkcs8 -topk8 -in "$n.key.pem" -passout "pass:correct horse" "$@"; }
locked server -v2 aes-256-cbc >server.pbes2.pem
locked rsa -v2 aes-128-cbc -v2prf hmacWithSHA512 -iter 10000 >rsa.pbes2.pem
locked server -scrypt >server.scrypt.pem
locked server -v2 des3 >server.des3.pem
locked server -iter 5000000 >server.slow.pem
openssl rsa -in rsa.key.pem -traditional -aes128 -passout "pass:correct horse" -out rsa.legacy.pem 2>/dev/null
