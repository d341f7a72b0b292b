// Package browser tries the console's pages in a real Chromium: what whoever looks at them sees, clicks and presses, and what the page asks
// the network for. get.sh beside it gets the Chromium from Debian.
package browser

import (
	"context"
	"errors"
	"os/exec"

	"github.com/chromedp/chromedp"
)

// ErrNoChromium is that there is none on this machine.
var ErrNoChromium = errors.New("there is no Chromium: sh e2e/browser/get.sh says why")

// find is where the Chromium lies.
func find() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", ErrNoChromium
}

// Start runs a Chromium that keeps nothing and asks nobody but for what a page asks for. It ends with the context, or by end.
func Start(ctx context.Context, folder string) (browser context.Context, end func(), err error) {
	path, err := find()
	if err != nil {
		return nil, nil, err
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(folder),
		chromedp.Flag("headless", true), chromedp.Flag("no-sandbox", true), chromedp.Flag("disable-gpu", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("no-first-run", true), chromedp.Flag("no-default-browser-check", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-default-apps", true), chromedp.Flag("disable-extensions", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("metrics-recording-only", true), chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("password-store", "basic"),
		chromedp.Flag("disable-features", "OptimizationHints,Translate,MediaRouter"), chromedp.Flag("window-size", "1280,860"),
	}
	all, endAll := chromedp.NewExecAllocator(ctx, options...)
	browser, endBrowser := chromedp.NewContext(all)
	end = func() { endBrowser(); endAll() }
	if err := chromedp.Do(browser); err != nil {
		end()
		return nil, nil, err
	}
	return browser, end, nil
}
