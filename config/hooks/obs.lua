-- OBS Studio: add this file under Tools, Scripts, +. It sets `obs` to on while streaming or recording. In presenced's configuration:
--     [[rules]]
--     name = "on air"
--     when = { signal = { obs = "on" } }
--     set  = "DoNotDisturb/Presenting"
local obs = obslua

local function on_event(event)
    if event == obs.OBS_FRONTEND_EVENT_STREAMING_STARTED or event == obs.OBS_FRONTEND_EVENT_RECORDING_STARTED then
        os.execute("presenced signal obs on")
    elseif event == obs.OBS_FRONTEND_EVENT_STREAMING_STOPPED or event == obs.OBS_FRONTEND_EVENT_RECORDING_STOPPED then
        if not obs.obs_frontend_streaming_active() and not obs.obs_frontend_recording_active() then
            os.execute("presenced signal obs off")
        end
    end
end

function script_description()
    return "Tells presenced while OBS streams or records."
end

function script_load(settings)
    obs.obs_frontend_add_event_callback(on_event)
end

function script_unload()
    os.execute("presenced signal obs --unset")
end
