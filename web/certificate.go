package web

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"time"
)

// certificate is the console's, read again when its files have changed: whoever renews it, as certbot does, need not tell us.
type certificate struct {
	cert, key string // files
	now       func() time.Time
	told      func(error)

	mu     sync.Mutex
	pair   *tls.Certificate
	seen   [2]stamp // of the files that were read last, be it in vain
	looked time.Time
	wrong  bool
}

// certificateEvery is how often the files are looked at, at most: no handshake waits for a disk twice a second.
const certificateEvery = time.Second

// stamp is what of a file shows that it is another one.
type stamp struct {
	size int64
	at   time.Time
}

func stampOf(file string) stamp {
	info, err := os.Stat(file)
	if err != nil {
		return stamp{}
	}
	return stamp{info.Size(), info.ModTime()}
}

// openCertificate reads the files. told is called when they have changed: with nil if what is new counts, else with why not.
func openCertificate(cert, key string, now func() time.Time, told func(error)) (*certificate, error) {
	c := &certificate{cert: cert, key: key, now: now, told: told}
	c.seen, c.looked = c.stamps(), now()
	var err error
	c.pair, err = c.read()
	return c, err
}

func (c *certificate) stamps() [2]stamp { return [2]stamp{stampOf(c.cert), stampOf(c.key)} }

func (c *certificate) read() (*tls.Certificate, error) {
	for _, file := range []string{c.cert, c.key} {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("the console's certificate cannot be read: %w", err)
		}
	}
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s are no certificate and key that belong together, in PEM: %w", c.cert, c.key, err)
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, fmt.Errorf("%s is no certificate: %w", c.cert, err)
		}
	}
	if c.now().After(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("the certificate in %s ended on %s: renew it", c.cert, pair.Leaf.NotAfter.Format("2006-01-02"))
	}
	return &pair, nil
}

// get is tls.Config.GetCertificate.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now().Sub(c.looked) < certificateEvery {
		return c.pair, nil
	}
	c.looked = c.now()
	stamps := c.stamps()
	if stamps == c.seen && !c.wrong {
		return c.pair, nil
	}
	// One of the two may have been written and the other not yet: it is tried again at the next look, and said once.
	changed := stamps != c.seen
	c.seen = stamps
	pair, err := c.read()
	if err != nil {
		if changed {
			c.told(err)
		}
		c.wrong = true
		return c.pair, nil
	}
	c.pair, c.wrong = pair, false
	c.told(nil)
	return c.pair, nil
}
