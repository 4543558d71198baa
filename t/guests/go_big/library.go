package main

import (
	"archive/tar"
	"archive/zip"
	"compress/bzip2"
	"compress/flate"
	"compress/gzip"
	"compress/lzw"
	"compress/zlib"
	"container/heap"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha3"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/asn1"
	"encoding/csv"
	"encoding/gob"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"expvar"
	"html/template"
	"image/color/palette"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"log/slog"
	"math/big"
	"math/rand/v2"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httputil"
	"net/mail"
	"net/rpc"
	"net/rpc/jsonrpc"
	"net/smtp"
	"net/textproto"
	"os/exec"
	"regexp"
	text "text/template"
	_ "time/tzdata"
)

// Something of each package, so that it is linked.
var library = []any{
	new(tar.Reader), tar.NewWriter, new(zip.Reader), zip.NewWriter, bzip2.NewReader,
	flate.NewReader, flate.NewWriter, new(gzip.Reader), new(gzip.Writer), lzw.NewReader,
	zlib.NewWriter, heap.Init, aes.NewCipher, cipher.NewGCM, ecdh.P521, ecdsa.GenerateKey,
	ed25519.GenerateKey, rsa.GenerateKey, new(sha3.SHAKE), new(tls.Conn), tls.Listen,
	new(x509.Certificate), x509.CreateCertificate, new(sql.DB), asn1.Marshal, new(csv.Reader),
	new(gob.Decoder), new(gob.Encoder), new(json.Decoder), new(json.Encoder), pem.Decode,
	new(xml.Decoder), new(xml.Encoder), expvar.Publish, new(template.Template), palette.Plan9,
	draw.Draw, gif.EncodeAll, gif.DecodeAll, jpeg.Encode, jpeg.Decode, png.Encode, png.Decode,
	new(slog.Logger), slog.NewJSONHandler, new(big.Float), new(big.Rat), new(rand.Rand),
	new(multipart.Reader), new(net.Resolver), net.Dial, new(http.Client), new(http.Server),
	new(http.Transport), new(cookiejar.Jar), new(httputil.ReverseProxy), new(mail.Message),
	new(rpc.Server), new(rpc.Client), jsonrpc.NewClient, new(smtp.Client), new(textproto.Conn),
	new(exec.Cmd), new(regexp.Regexp), new(text.Template),
}
