"""Renders views and differences as the bytes of map responses; encodes once what several viewers share. Pure."""

from services.map_streamer.render.deltas import Deltas as Deltas
from services.map_streamer.render.dns import DnsSettings as DnsSettings
from services.map_streamer.render.frames import Frame as Frame
from services.map_streamer.render.frames import FrameCache as FrameCache
from services.map_streamer.render.full import Part as Part
from services.map_streamer.render.notices import NoticeTexts as NoticeTexts
from services.map_streamer.render.renderer import Renderer as Renderer
from services.map_streamer.render.renderer import RenderSettings as RenderSettings
from services.map_streamer.render.viewer import Encoding as Encoding
from services.map_streamer.render.viewer import Viewer as Viewer
