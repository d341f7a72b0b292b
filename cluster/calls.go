package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	callsWait  = time.Second // for a node's calls: who asks waits no longer for one that does not answer
	maxCalls   = 8 << 20     // bytes of an answer
	pieceCalls = 512 << 10   // bytes a piece
)

// Calls asks all other nodes that are known for calls, by a question that they understand, and gives their answers by node. silent are those that did not
// answer within a second, or were not there.
func (c *Cluster) Calls(ctx context.Context, query []byte) (answers map[string][]byte, silent []string) {
	answers = make(map[string][]byte)
	ctx, cancel := context.WithTimeout(ctx, callsWait)
	defer cancel()
	live := map[string]bool{}
	for _, node := range c.live() {
		live[node] = true
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, node := range c.known() {
		if !live[node] {
			silent = append(silent, node)
			continue
		}
		all.Go(func() {
			answer, err := c.callsOf(ctx, node, query)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				silent = append(silent, node)
				return
			}
			answers[node] = answer
		})
	}
	all.Wait()
	return answers, silent
}

func (c *Cluster) callsOf(ctx context.Context, node string, query []byte) (answer []byte, err error) {
	err = c.ask(ctx, node, question{What: askCalls, Query: query}, func(_ head, body []byte) error {
		if len(answer)+len(body) > maxCalls {
			return fmt.Errorf("its answer has more than %d bytes", maxCalls)
		}
		answer = append(answer, body...)
		return nil
	})
	return answer, err
}

// answerCalls answers with what this node's own journal has.
func (c *Cluster) answerCalls(a *pieces, query []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), callsWait)
	defer cancel()
	answer, err := c.o.Calls(ctx, query)
	if err != nil {
		return err
	}
	for {
		n := min(len(answer), pieceCalls)
		a.h.Last = n == len(answer)
		if err := a.send(answer[:n]); err != nil || a.h.Last {
			return err
		}
		answer = answer[n:]
	}
}
