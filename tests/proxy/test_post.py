from __future__ import annotations

import json
import socket
from dataclasses import replace

from proxy.crowd import AHEAD, Crowd, Share
from proxy.post import VARIABLE, Post
from proxy.pulse import pair


def test_a_post_is_taken_once_and_no_child_of_its_worker_takes_it_too() -> None:
    post = Post(1, 3, 4, 5, 6, "127.0.0.1:8080", "127.0.0.1:9901")
    environ = {"PATH": "/bin", **post.variable()}
    assert Post.taken(environ) == post
    assert VARIABLE not in environ
    assert Post.taken(environ) is None


def test_whoever_has_no_crowd_to_share_has_all_users() -> None:
    post = Post(2, 3, 4, 5, 6, "", "")
    assert post.share is None
    assert post.descriptors == (3, 4, 5, 6)
    crowd = Crowd.of(2)
    Share(crowd, 1).took(AHEAD)
    sharing = replace(post, crowd=crowd.descriptor)
    assert sharing.descriptors == (3, 4, 5, 6, crowd.descriptor)
    assert sharing.share is not None
    sharing.share.took(1)
    assert list(crowd.taken) == [AHEAD, 1]


def test_what_a_later_supervisor_tells_beyond_this_is_left_aside() -> None:
    post = Post(1, 3, 4, 5, 6, "", "")
    told = json.dumps({**json.loads(post.variable()[VARIABLE]), "later": 7})
    assert Post.taken({VARIABLE: told}) == post


def test_what_is_inherited_are_sockets_that_do_not_block() -> None:
    with socket.create_server(("127.0.0.1", 0)) as public, socket.create_server(("127.0.0.1", 0)) as private:
        (ours, theirs), (felt, pulse) = socket.socketpair(), pair()
        with ours, felt:
            one, other, line, own = (sock.detach() for sock in (public.dup(), private.dup(), theirs, pulse))
            post = Post(1, one, other, line, own, "", "")
            inherited = post.sockets()
            assert [sock.gettimeout() for sock in inherited] == [0.0] * 4
            assert inherited[0].getsockname() == public.getsockname()
            assert inherited[1].getsockname() == private.getsockname()
            for sock in inherited:
                sock.close()
            assert ours.recv(1) == b""
