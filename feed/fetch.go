package feed

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// Bounds of one fetch.
const (
	feedTime  = 15 * time.Minute
	feedSize  = 1 << 30 // bytes
	feedHead  = 30 * time.Second
	feedHops  = 5 // redirects
	feedAgent = "ringfence"
)

// feedClient is as patient as a large list needs, and no more.
var feedClient = &http.Client{
	Timeout: feedTime,
	Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: feedHead, TLSHandshakeTimeout: feedHead, MaxIdleConns: 4, IdleConnTimeout: time.Minute,
	},
	CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > feedHops {
			return errors.New("it redirects too often")
		}
		if via[0].URL.Scheme == "https" && r.URL.Scheme != "https" {
			return errors.New("it redirects from https to " + r.URL.Scheme)
		}
		return nil
	},
}

// download writes a source into a file, whole or not at all, and notes in s what tells a newer one. fresh is false
// if there is nothing newer. It compares a checksum where one is published.
func download(ctx context.Context, source, file string, s *feedState) (fresh bool, err error) {
	if !strings.Contains(source, "://") {
		return copyFile(source, file, s)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, source, nil)
	if err != nil {
		return false, err
	}
	req.Header.Set("User-Agent", feedAgent)
	if s.ETag != "" {
		req.Header.Set("If-None-Match", s.ETag)
	}
	if s.LastModified != "" {
		req.Header.Set("If-Modified-Since", s.LastModified)
	}
	resp, err := feedClient.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		return false, nil
	default:
		readAll(resp.Body)
		return false, fmt.Errorf("the source answers %s", resp.Status)
	}
	if resp.ContentLength > feedSize {
		return false, fmt.Errorf("it has %d bytes; at most %d are taken", resp.ContentLength, feedSize)
	}
	sum, err := store(resp.Body, file)
	if err != nil {
		return false, err
	}
	want, err := published(ctx, source, resp)
	if err != nil {
		return false, err
	}
	if want != "" && want != sum {
		return false, fmt.Errorf("its checksum is %s, and %s is published: it was changed on the way, or is being changed", sum, want)
	}
	s.ETag, s.LastModified = resp.Header.Get("ETag"), resp.Header.Get("Last-Modified")
	return true, nil
}

// copyFile is download of a file on this machine, whose time and size stand for the version.
func copyFile(source, file string, s *feedState) (fresh bool, err error) {
	in, err := os.Open(source)
	if err != nil {
		return false, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return false, err
	}
	version := fmt.Sprintf("%d-%d", info.ModTime().UnixNano(), info.Size())
	if version == s.ETag {
		return false, nil
	}
	if _, err := store(in, file); err != nil {
		return false, err
	}
	s.ETag = version
	return true, nil
}

// store writes what comes into a file and returns its SHA-256. A stream that breaks off is an error.
func store(in io.Reader, file string) (sum string, err error) {
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(out, h), io.LimitReader(in, feedSize+1))
	if err == nil && n > feedSize {
		err = fmt.Errorf("it has more than %d bytes", feedSize)
	}
	return hex.EncodeToString(h.Sum(nil)), errors.Join(err, out.Sync(), out.Close())
}

// published is the SHA-256 of a source in hexadecimal, "" if none is to be had: from the answer's own header (RFC 9530), or
// from a file of the same name with .sha256 behind it.
func published(ctx context.Context, source string, resp *http.Response) (string, error) {
	for _, name := range []string{"Repr-Digest", "Content-Digest"} {
		for _, part := range strings.Split(resp.Header.Get(name), ",") {
			if text, ok := strings.CutPrefix(strings.TrimSpace(part), "sha-256=:"); ok {
				raw, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(text, ":"))
				return hex.EncodeToString(raw), err
			}
		}
	}
	if strings.Contains(source, "?") {
		return "", nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, source+".sha256", nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("User-Agent", feedAgent)
	sums, err := feedClient.Do(req)
	if err != nil {
		return "", err
	}
	defer sums.Body.Close()
	text, err := io.ReadAll(io.LimitReader(sums.Body, 4096))
	if err != nil || sums.StatusCode != http.StatusOK {
		return "", nil // most sources have none
	}
	word, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	if raw, err := hex.DecodeString(word); err != nil || len(raw) != sha256.Size {
		return "", nil // a page that says something else
	}
	return strings.ToLower(word), nil
}
