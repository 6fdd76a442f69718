"""A page that shows what networks say of a picture: server, limits, the page itself.

Needs the extra ``serve``. Knows no task and reads no picture: networks come with a
function that does (:class:`cmim.serve.network.Network`).
"""
