package client

import (
	"context"
	"errors"
	"time"

	"catenary/internal/link"
	"catenary/internal/node"
	"catenary/internal/wire"
)

// take turns a report into an event of the node, or drops it if it is about a
// connection that the node has given up.
func (c *Client) take(ctx context.Context, cancel context.CancelCauseFunc, r report) {
	switch r := r.(type) {
	case reached:
		if c.conns[r.conn.id] == r.conn {
			c.step(ctx, node.Reached{Conn: r.conn.id})
		}
	case dialled:
		c.tookDial(ctx, r)
	case *knocked:
		c.knocks += 2
		c.doors[c.knocks] = r.link
		c.step(ctx, node.Knock{Conn: c.knocks, Hello: r.hello})
	case received:
		if c.conns[r.conn.id] == r.conn {
			if reply, ok := r.message.(wire.Registered); ok && r.conn.server {
				c.heardOfSensors(reply)
			}
			c.step(ctx, node.Got{Conn: r.conn.id, Message: r.message})
		}
	case broken:
		if c.conns[r.conn.id] == r.conn {
			delete(c.conns, r.conn.id)
			c.log.Debug("link ended", "conn", r.conn.id, "because", r.err)
			c.step(ctx, node.Down{Conn: r.conn.id})
		}
	case registered:
		c.tookRegistration(ctx, cancel, r)
	case evaluated:
		c.step(ctx, r.Evaluated)
	}
}

func (c *Client) tookDial(ctx context.Context, r dialled) {
	k := r.conn
	if c.conns[k.id] != k {
		if r.link != nil {
			r.link.Close()
		}
		return
	}
	if r.err != nil {
		delete(c.conns, k.id)
		c.log.Debug("dial failed", "conn", k.id, "because", r.err)
		failed := node.Failed{Conn: k.id}
		var refused *link.RefusedError
		if errors.As(r.err, &refused) {
			failed.Refusal = refused.Refused
		}
		c.step(ctx, failed)
		return
	}
	k.link = r.link
	c.step(ctx, node.Up{Conn: k.id, Reply: r.reply})
	c.serve(ctx, k)
}

func (c *Client) tookRegistration(ctx context.Context, cancel context.CancelCauseFunc, r registered) {
	var refused *link.RefusedError
	var come *comeError
	switch {
	case r.err == nil:
		if r.reply.ComputerID != 0 {
			c.state.who.ComputerID = r.reply.ComputerID
			c.computerID.Store(r.reply.ComputerID)
		}
		c.server = r.server
		if len(r.reply.Certificate) > 0 {
			if err := c.renew(r.reply.Certificate); err != nil {
				c.log.Warn("certificate not renewed", "because", err)
			}
		}
		c.heardOfSensors(r.reply)
		c.step(ctx, node.Registered{Reply: r.reply})
	case errors.Is(r.err, errMoved):
		c.reached = r.reached
		cancel(r.err)
	case errors.As(r.err, &refused) && refused.Reason == wire.Replayed:
		// The server has heard this identity from a later start than ours:
		// this machine's state was copied or put back.
		c.log.Warn("registration refused", "because", refused.Text)
		if err := c.state.reset(); err != nil {
			cancel(err)
			return
		}
		cancel(errReset)
	case errors.Is(r.err, errUnanswered):
		c.log.Debug("no answer by datagram; coming over TLS", "because", r.err)
		c.step(ctx, node.NotRegistered{})
	case errors.As(r.err, &come):
		c.log.Debug("no registration by datagram", "because", r.err)
		c.step(ctx, node.Come{After: come.after})
	default:
		c.log.Warn("not registered; trying again at the next slot", "because", r.err)
		c.step(ctx, node.NotRegistered{Refused: refused != nil})
	}
}

// step gives one event to the node and carries out the effects in order.
func (c *Client) step(ctx context.Context, ev node.Event) {
	for _, ef := range c.node.Step(time.Now(), ev) {
		switch ef := ef.(type) {
		case node.Dial:
			c.dial(ctx, ef)
		case node.Admit:
			k := &conn{id: ef.Conn, cancel: func() {}, link: c.doors[ef.Conn]}
			delete(c.doors, ef.Conn)
			c.conns[k.id] = k
			c.send(k, ef.Reply)
			c.serve(ctx, k)
		case node.Refuse:
			l := c.doors[ef.Conn]
			delete(c.doors, ef.Conn)
			c.worker.Go(func() { c.refuse(l, ef.Reply) })
		case node.Hangup:
			if k := c.conns[ef.Conn]; k != nil {
				delete(c.conns, ef.Conn)
				k.cancel()
				if k.link != nil {
					k.link.Close()
				}
			}
		case node.Send:
			if k := c.conns[ef.Conn]; k != nil {
				c.send(k, ef.Message)
			}
		case node.Evaluate:
			c.evaluate(ctx, ef)
		case node.Register:
			c.register(ctx, ef)
		case node.Note:
			c.log.Warn(ef.Text, "question", ef.Question, "conn", ef.Conn, "because", ef.Err)
		}
	}
	c.stand()
}

// send queues a message. A failure closes the link, and its reader reports it.
func (c *Client) send(k *conn, m wire.Message) {
	if err := k.link.Send(m); err != nil {
		c.log.Info("message not sent", "conn", k.id, "because", err)
	}
}

// serve carries messages over a link until it ends.
func (c *Client) serve(ctx context.Context, k *conn) {
	l := k.link
	c.worker.Go(func() {
		err := l.Run(ctx, func(m wire.Message) { c.tell(ctx, received{k, m}) })
		c.tell(ctx, broken{k, err})
	})
}

// refuseTimeout bounds how long we try to say why.
const refuseTimeout = time.Second

func (c *Client) refuse(l *link.Link, why wire.Refused) {
	if err := l.Write(why, refuseTimeout); err != nil {
		c.log.Debug("refusal not said", "because", err)
	}
	l.Close()
}
